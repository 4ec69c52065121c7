"""Proof by an authenticator app."""
