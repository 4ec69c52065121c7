"""Shelf of ways to prove who you are, a folder each."""
