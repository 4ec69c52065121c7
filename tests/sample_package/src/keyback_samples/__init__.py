"""What packages bring to Keyback."""
