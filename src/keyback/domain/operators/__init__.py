"""Operators of the help desk: who may do what, and never alone on what matters."""
