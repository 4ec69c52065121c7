"""Which evidence suffices for whom, and the search for gaps in it."""
