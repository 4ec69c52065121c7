"""Faces: pages and the HTTP API."""
