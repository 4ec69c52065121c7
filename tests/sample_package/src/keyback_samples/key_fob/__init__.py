"""Proof by a key fob."""
