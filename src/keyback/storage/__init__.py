"""State: the only package that knows SQL."""
