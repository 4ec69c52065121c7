"""Proof by the mail that starts every recovery."""
