"""The training of the tests' pipelines. TRAINING names a folder through which a test watches and steers it."""

from __future__ import annotations

import os
import time
from pathlib import Path

LIMIT_SECONDS = 300.0


def train(episode: str, project: str, pipeline: str, version: str, reason: str) -> str:
    """Return the new version. Waits while TRAINING/hold exists; fails while TRAINING/fail exists."""
    folder = Path(os.environ["TRAINING"])
    with (folder / "runs").open("a") as runs:
        runs.write(f"{episode}\n")
    ends = time.monotonic() + LIMIT_SECONDS
    while (folder / "hold").exists() and time.monotonic() < ends:
        time.sleep(0.1)
    if (folder / "fail").exists():
        raise RuntimeError(f"training of {project}/{pipeline} failed: {reason}")
    return str(int(version) + 1)
