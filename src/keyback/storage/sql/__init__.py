"""The schema, and what all stores share."""
