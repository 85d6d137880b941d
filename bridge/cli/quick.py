"""Quick forms of `version` and `healthcheck`, which containers run every few seconds: only the standard library.

Each other form of these commands, such as one with an http_config, is left to the full command line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from bridge import __version__
from bridge.cli.output import echo
from bridge.domain import waits

DEFAULT_URL = "http://127.0.0.1:9095"
URL_VARIABLE = "RETRAIN_BRIDGE_URL"


def run(arguments: Sequence[str]) -> int | None:
    """Run a quick command and return its exit code, None if it is not one."""
    match [part for argument in arguments for part in argument.split("=", 1)]:
        case ["version"] | ["--version"]:
            echo(f"retrain-bridge {__version__}")
            return 0
        case ["healthcheck"] if (url := os.environ.get(URL_VARIABLE) or DEFAULT_URL).lower().startswith("http://"):
            return _healthcheck(url)
        case ["healthcheck", "--bridge.url", url] if url.lower().startswith("http://"):
            return _healthcheck(url)
    return None


def _healthcheck(url: str) -> int | None:
    """Return 0 if the bridge is ready, else None: the full command repeats the check and reports the problem."""
    import http.client

    host, slash, path = url[len("http://") :].rstrip("/").partition("/")
    if "@" in host:
        return None
    connection = http.client.HTTPConnection(host, timeout=waits.READY)
    try:
        connection.request("GET", f"{slash}{path}/-/ready")
        answer = connection.getresponse()
        answer.read()
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return 0 if answer.status == 200 else None
