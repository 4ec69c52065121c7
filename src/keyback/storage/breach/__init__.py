"""The file of leaked passwords."""
