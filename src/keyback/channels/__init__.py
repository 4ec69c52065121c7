"""Shelf of ways a message travels, a file each."""
