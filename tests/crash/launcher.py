"""Starts the bridge's command line with one step of its path made deadly: it kills itself with SIGKILL there, once.

python -m tests.crash.launcher run ...  with CRASH_STEP (a key of STEPS, "" = none) and CRASH_MARKER (a file that is
written first; while it exists nothing is deadly). CRASH_SPARED: how many times the step is harmless before.
CRASH_DELIVERY: JSON of DeliverySettings' fields, so that leases and pauses are short. Only ports and the store's
methods are wrapped; the bridge knows nothing of it.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

from bridge import cli
from bridge.app import service
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.sinks.base import HttpSink
from bridge.sinks.run import RunSink
from bridge.sinks.runs.following import Follower
from bridge.store import ticks
from bridge.store.sql import SqlStore

_calls = count()


def die(step: str) -> None:
    """Leave a mark that survives, and end as by kill -9; the first CRASH_SPARED calls do nothing."""
    if next(_calls) < int(os.environ.get("CRASH_SPARED", "0")):
        return
    marker = os.open(os.environ["CRASH_MARKER"], os.O_CREAT | os.O_WRONLY | os.O_EXCL, 0o600)
    os.write(marker, step.encode())
    os.fsync(marker)
    os.kill(os.getpid(), signal.SIGKILL)


def _wrap(owner: Any, name: str, step: str, matters: Callable[..., bool], *, after: bool) -> None:
    """Die before `owner.name` is called, or `after` it has returned; only when its arguments or result matter."""
    original = getattr(owner, name)

    def wrapped(*args: Any, **kwargs: Any) -> Any:
        if not after and matters(args, None):
            die(step)
        result = original(*args, **kwargs)
        if after and matters(args, result):
            die(step)
        return result

    setattr(owner, name, wrapped)


def _asks(args: Any, _result: Any) -> bool:
    """A commit that queues deliveries."""
    return bool(args[1].deliveries)


def _queues(args: Any, _result: Any) -> bool:
    return bool(args[1])


def _found(_args: Any, result: Any) -> bool:
    return bool(result)


def _always(_args: Any, _result: Any) -> bool:
    return True


def _saves_end(args: Any, _result: Any) -> bool:
    return bool(args[1].state.terminal)


# step: (whose method, its name, whether the call matters, after it). In the order of a request's path.
STEPS: dict[str, tuple[Any, str, Callable[..., bool], bool]] = {
    "before commit": (SqlStore, "commit", _asks, False),
    "within commit": (ticks, "_queue", _queues, True),
    "after commit": (SqlStore, "commit", _asks, True),
    "before post": (SqlStore, "claim", _found, True),
    "after answer": (HttpSink, "post", _always, True),
    "before settle": (SqlStore, "settle", _always, False),
    "after settle": (SqlStore, "settle", _found, True),
    "before status": (SqlStore, "save_request", _always, False),
    "after status": (SqlStore, "save_request", _always, True),
}
# The same for a run in an orchestrator, from the frozen plan to the record of its end.
RUN_STEPS: dict[str, tuple[Any, str, Callable[..., bool], bool]] = {
    "before plan": (RunSink, "_prepare", _always, False),
    "after plan": (RunSink, "_prepare", _found, True),
    "before start": (SqlStore, "claim_start", _found, True),
    "after start": (RunSink, "_after_start", _always, False),
    "after sighting": (RunSink, "_seen", _always, True),
    "after delivery": (SqlStore, "settle", _found, True),
    "before state": (Follower, "_settle", _always, False),
    "after report": (SqlStore, "save_run", _saves_end, False),
    "after state": (Follower, "_settle", _always, True),
}


def arm(step: str) -> None:
    """Make `step` deadly."""
    owner, name, matters, after = (STEPS | RUN_STEPS)[step]
    _wrap(owner, name, step, matters, after=after)


def _shorten(delivery: dict[str, Any]) -> None:
    original = service.run_service

    def run_service(options: Any, serve: Any) -> int:
        return original(replace(options, delivery=DeliverySettings(**delivery)), serve)

    service.run_service = run_service


if __name__ == "__main__":
    if os.environ.get("CRASH_DELIVERY"):
        _shorten(json.loads(os.environ["CRASH_DELIVERY"]))
    wanted = os.environ.get("CRASH_STEP", "")
    if wanted and not Path(os.environ["CRASH_MARKER"]).exists():
        arm(wanted)
    cli.main()
