"""Proof by signing in with a system that speaks OpenID Connect."""
