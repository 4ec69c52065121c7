"""`python -m keyback.cli`."""

from keyback.cli import main

main(prog_name="keyback")
