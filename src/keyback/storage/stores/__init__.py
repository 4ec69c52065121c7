"""A file for each store."""
