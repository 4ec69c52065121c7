"""Proof by a mailed link and code."""
