"""Keyback 回钥: account recovery for people who live in a CRM."""

__version__ = "0.1.0"
