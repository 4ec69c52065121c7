"""What tests and the demo need: servers that stand in for the outside world."""
