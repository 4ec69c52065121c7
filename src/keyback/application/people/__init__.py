"""Where people come from."""
