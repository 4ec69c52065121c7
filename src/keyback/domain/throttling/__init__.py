"""Limits, and what happens at them."""
