"""Shelf of systems that hold passwords, a file each."""
