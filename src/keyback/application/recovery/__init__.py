"""A recovery, from the first request to what comes after it."""
