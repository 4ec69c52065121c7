"""What the application asks of those around it."""
