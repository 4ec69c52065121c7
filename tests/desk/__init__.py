"""Tests of the help desk; a package, since files of other rooms have the same names."""
