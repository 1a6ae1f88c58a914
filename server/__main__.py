"""`python -m server` is `headwater`."""

from server.cli import main

main(prog_name="headwater")
