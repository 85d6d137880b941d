"""`python -m bridge.coordinator`: the standalone coordinator, with plain logs."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from bridge.coordinator.config import load_config
from bridge.coordinator.server import run
from bridge.domain.errors import ConfigError
from bridge.domain.printable import printable
from bridge.net.repeats import CountingHandler

_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class _Formatter(logging.Formatter):
    """Formatter that writes the message, then the record's extra fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, with control characters escaped."""
        fields = {name: value for name, value in vars(record).items() if name not in _PLAIN}
        message = "\n".join(printable(line) for line in super().format(record).split("\n"))
        return " ".join([message, *(f"{name}={printable(repr(str(value)))}" for name, value in fields.items())])


def main(arguments: Sequence[str]) -> int:
    """Run the coordinator; return the exit code: 0 after a regular stop, 1 on failure or a wrong configuration."""
    flags = _parser().parse_args(arguments)
    handler = CountingHandler()
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    overrides = {name: value for name, value in vars(flags).items() if name != "config_file"}
    try:
        config = load_config(flags.config_file, overrides)
    except ConfigError as error:
        sys.stderr.writelines(f"{printable(problem)}\n" for problem in error.problems)
        return 1
    return run(config)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("python -m bridge.coordinator", description=__doc__)
    parser.add_argument("--config.file", dest="config_file", type=Path, help="coordinator.yml")
    parser.add_argument("--web.listen-address", dest="listen", help="HOST:PORT (127.0.0.1:8090)")
    parser.add_argument(
        "--web.allowed-host", dest="allowed_hosts", action="append", help="additional host name to serve"
    )
    parser.add_argument("--storage.path", dest="storage", help="directory of the ledger and the run logs")
    parser.add_argument("--bridge.url", dest="bridge_url", help="bridge that receives status reports")
    parser.add_argument("--command", nargs=argparse.REMAINDER, help="command with its arguments; must be the last flag")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
