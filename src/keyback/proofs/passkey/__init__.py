"""Proof by a passkey."""
