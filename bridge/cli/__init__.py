"""Command line, with the vocabulary of promtool and amtool. Exit codes: 0 success, 1 failure, 2 wrong usage."""

from __future__ import annotations

import sys

from bridge.cli import quick


def main() -> None:
    """Run the command line, and print each expected error as a message instead of a traceback."""
    code = quick.run(sys.argv[1:])
    if code is not None:
        sys.exit(code)
    from bridge.cli import commands

    commands.run()
