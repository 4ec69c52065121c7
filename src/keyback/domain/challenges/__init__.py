"""What is put to people so that they can verify who they are."""
