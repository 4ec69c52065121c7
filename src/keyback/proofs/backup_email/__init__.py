"""Proof by a code to a second mailbox."""
