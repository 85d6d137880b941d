"""Time of `retrain-bridge try` on a Prometheus that is filled with series of other people.

    python -m benchmarks.trial --data DIR [--part dev] [--last 30d] [--time-limit 90s]

DIR/start_prometheus.sh PART PORT serves the blocks of DIR/PART/tsdb and prints the process id; DIR/PART/labels.json
has `n_models`. `try` runs once for each length of `--last`, until the last sample. The
aim is two minutes on 50 models. The last line is one JSON object: models, requests, seconds, and what the page says.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bridge.domain.times import rfc3339
from tests.support.processes import free_port


@contextmanager
def filled(data: Path, part: str) -> Iterator[str]:
    """Start the script's Prometheus, and yield its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "RUN_DIR": folder}
        command = ["bash", str(data / "start_prometheus.sh"), part, str(port)]
        started = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, timeout=120)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            os.kill(int(started.stdout.split()[-1]), signal.SIGTERM)


def last_sample(blocks: Path) -> int:
    """Return the time of the last sample of a TSDB, in ms, from the blocks' metadata."""
    return max(int(json.loads(file.read_text())["maxTime"]) for file in blocks.glob("*/meta.json")) - 1


def measure(url: str, until: str, last: str, limit: str) -> dict[str, Any]:
    """Run one trial; return its seconds, and what it says."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "trial"
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "bridge.cli", "try", "--prometheus", url, f"--until={until}", f"--last={last}",
             f"--time-limit={limit}", "--output", str(output)],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        seconds = time.monotonic() - began
        if done.returncode:
            sys.exit(f"try failed: {done.stderr}")
        lines = done.stdout.splitlines()
        said = [line for line in lines if not line.startswith(("  ", "written:", "next:"))]
        requests = sum(line.startswith("  ") for line in lines)
        page = (output / "report.html").stat().st_size
    return {"last": last, "seconds": round(seconds, 1), "requests": requests, "page_kb": page // 1000, "said": said}


def main() -> None:
    """Run the trials."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--part", default="dev")
    parser.add_argument("--last", action="append", help="length of the history; repeatable (default: 30d and 330d)")
    parser.add_argument("--time-limit", default="90s")
    options = parser.parse_args()
    labels = json.loads((options.data / options.part / "labels.json").read_text())
    until = rfc3339(last_sample(options.data / options.part / "tsdb"))
    results = []
    with filled(options.data, options.part) as url:
        for last in options.last or ["30d", "330d"]:
            found = measure(url, until, last, options.time_limit)
            results.append(found)
            print(f"{last}: {found['seconds']} s, {found['requests']} requests; page of {found['page_kb']} kB")
            for line in found["said"]:
                print(f"    {line}")
    print(json.dumps({"models": labels["n_models"], "trials": results}))


if __name__ == "__main__":
    main()
