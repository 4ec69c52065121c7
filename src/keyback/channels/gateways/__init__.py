"""SMS and chat messages, a file for each service."""
