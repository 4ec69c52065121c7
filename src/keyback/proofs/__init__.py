"""Shelf of ways to prove who you are, a folder each: `method.py` says what it asks and judges answers.

The mailed link and code is not here: it starts every recovery, and lives in `application.recovery.mailed_link`.
"""
