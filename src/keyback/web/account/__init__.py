"""Sign-in to the built-in system and the signed-in page."""
