"""Proof by a code that was saved beforehand."""
