"""What administrators of a system are asked for, and whether the person got in."""
