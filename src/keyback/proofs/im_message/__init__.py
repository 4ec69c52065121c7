"""Proof by a code to an account with a message service."""
