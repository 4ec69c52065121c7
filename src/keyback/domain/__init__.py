"""Pure rules of account recovery: no I/O, no clock, no randomness."""
