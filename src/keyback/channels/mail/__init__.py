"""Mail: texts, bytes and the way to the relay."""
