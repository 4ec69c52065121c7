"""Signing in, second steps and sessions."""
