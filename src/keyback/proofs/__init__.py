"""Shelf of ways to prove who you are, a folder each: `method.py` says what it asks and judges answers."""
