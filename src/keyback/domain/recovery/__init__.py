"""The life of a recovery: commands, events and one table of transitions."""
