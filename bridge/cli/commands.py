"""All commands. They import their dependencies when they run, so that `--help` starts fast."""

from __future__ import annotations

import signal
import sys
import threading

from bridge.cli import (  # noqa: F401 - each module registers its commands, in the order of --help
    backtest,
    check,
    config,
    decisions,
    deliveries,
    explain,
    init,
    misc,
    models,
    operations,
    pauses,
    report,
    requests,
    serve,
    silence,
    suggest,
    trial,
    tune,
    unit_tests,
)
from bridge.cli.options import app, print_problems
from bridge.cli.output import echo_lines
from bridge.domain.errors import BridgeError, ConfigError

__all__ = ["app", "run"]


def run() -> None:
    """Run the command line, and print each expected error as a message instead of a traceback."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _interrupted)
        sys.unraisablehook = _send_again
    try:
        app(prog_name="retrain-bridge")
    except ConfigError as error:
        print_problems(error.problems)
        sys.exit(1)
    except UnicodeEncodeError as error:  # bytes of a word that are not UTF-8 stand for themselves as surrogates
        echo_lines(f"retrain-bridge: {error.object!r} is not UTF-8", sys.stderr)
        sys.exit(2)
    except OSError as error:
        where = f"{error.filename}: " if error.filename is not None else ""
        echo_lines(f"retrain-bridge: {where}{error.strerror or error}", sys.stderr)
        sys.exit(1)
    except BridgeError as error:
        echo_lines(f"retrain-bridge: {error}", sys.stderr)
        sys.exit(1)


def _interrupted(_number: int, _frame: object) -> None:
    """Raise KeyboardInterrupt, and cut the requests that other threads wait for: the exit would wait for them."""
    from bridge.net.watchdog import WATCHDOG

    threading.Thread(target=WATCHDOG.interrupt, daemon=True).start()  # it waits for locks that this thread may hold
    raise KeyboardInterrupt


def _send_again(dropped: sys.UnraisableHookArgs) -> None:
    """Interrupt the main thread again if a finaliser received the interrupt: Python drops what one raises."""
    if dropped.exc_type is not KeyboardInterrupt:
        sys.__unraisablehook__(dropped)
    elif not sys.is_finalizing() and (main := threading.main_thread().ident) is not None:
        threading.Timer(0.01, signal.pthread_kill, (main, signal.SIGINT)).start()  # once the finaliser has returned
