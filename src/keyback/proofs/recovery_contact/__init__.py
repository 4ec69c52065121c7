"""Proof by somebody who vouches."""
