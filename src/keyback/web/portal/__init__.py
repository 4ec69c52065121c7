"""Pages for the person who is locked out."""
