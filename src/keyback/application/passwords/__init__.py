"""Hashing, judging and ageing of passwords."""
