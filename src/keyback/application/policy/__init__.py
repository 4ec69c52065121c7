"""The policy in words, checked against everybody there is."""
