"""The keyring, its file, and what it seals."""
