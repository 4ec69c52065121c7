"""People, their addresses and their factors."""
