"""How crash tests start a bridge: through tests/crash/launcher.py, with short leases, and one step made deadly."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.support.bridge import Bridge

LAUNCHER = (sys.executable, "-m", "tests.crash.launcher")
SHORT = {"attempt_deadline": 4000, "lease": 6000, "backoff_base": 200, "backoff_max": 1000, "probe": 1000}
TIMEOUT = "4s"  # a busy machine answers in time: an attempt that ends without an answer is repeated


def launched(
    folder: Path, step: str = "", *, spared: int = 0, delivery: Mapping[str, Any] | None = None
) -> dict[str, str]:
    """The launcher's environment: which step is deadly after how many `spared` ones, and delivery settings in ms."""
    settings = SHORT if delivery is None else delivery
    return {
        "CRASH_STEP": step, "CRASH_SPARED": str(spared), "CRASH_MARKER": str(folder / "died"),
        "CRASH_DELIVERY": json.dumps(settings),
    }  # fmt: skip


def died(process: Bridge, step: str) -> None:
    """Wait until the deadly step was reached, and see that it was the end."""
    assert process.wait_dead() == -signal.SIGKILL, process.program.log
    assert Path(str(process.env["CRASH_MARKER"])).read_text() == step
