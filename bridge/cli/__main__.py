"""Entry point of `python -m bridge.cli`."""

from bridge.cli import main

main()
