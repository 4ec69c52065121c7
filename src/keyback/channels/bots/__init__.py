"""Bots in chat services that answer with the address to begin at; a file a service."""
