"""Proof by a code to a phone."""
