"""What the shelves share to reach the outside: one guarded HTTP client."""
