"""Backup, restore, and sealing with a new key."""
