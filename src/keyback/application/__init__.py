"""Use cases: sync functions over one transaction, async only between them."""
