"""The command line: promtool's and amtool's words. Exit codes: 0 done, 1 something is wrong, 2 wrong usage.

Commands import what they need when they run, so that `healthcheck` and `version` start fast.
"""

from __future__ import annotations

import sys

from bridge.cli import (  # noqa: F401 - each registers its commands, in this order of --help
    backtest,
    check,
    explain,
    misc,
    operations,
    requests,
    serve,
    suggest,
    unit_tests,
)
from bridge.cli.options import app, print_problems
from bridge.cli.saying import say_lines
from bridge.domain.errors import BridgeError, ConfigError

__all__ = ["app", "main"]


def main() -> None:
    """Entry point: every error that we know is one clear message, not a traceback."""
    try:
        app()
    except ConfigError as error:
        print_problems(error.problems)
        sys.exit(1)
    except (BridgeError, OSError) as error:
        say_lines(f"retrain-bridge: {error}", sys.stderr)
        sys.exit(1)
