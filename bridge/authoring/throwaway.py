"""A Prometheus of our own for the time of a test run: an empty store on a free loopback port, gone afterwards."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bridge.domain.errors import BridgeError
from bridge.net.http_config import HttpConfig
from bridge.net.session import NetError, call, open_session

START = 30.0  # seconds
_CONFIG = "global: {scrape_interval: 1h}\n"


class NoPrometheus(BridgeError):  # noqa: N818 - reads as what it says
    """There is no Prometheus to evaluate expressions with."""


def find_binary(named: str = "") -> str:
    """The path of a prometheus binary. Raises NoPrometheus, which says how to get one."""
    found = shutil.which(named or "prometheus")
    if found is None:
        what = f"{named} is not a program" if named else "there is no prometheus on PATH"
        raise NoPrometheus(
            f"{what}: PromQL is evaluated by a real Prometheus. Install one (Debian and Ubuntu: apt-get install "
            "prometheus; others: https://prometheus.io/download), or name it with --prometheus.binary"
        )
    return found


@contextlib.contextmanager
def throwaway_prometheus(binary: str) -> Iterator[str]:
    """Its URL, while it runs with the remote write receiver. Raises NoPrometheus when it does not start."""
    with tempfile.TemporaryDirectory(prefix="retrain-bridge-test-") as folder:
        port = _free_port()
        (Path(folder) / "prometheus.yml").write_text(_CONFIG, encoding="utf-8")
        command = [
            binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            f"--web.listen-address=127.0.0.1:{port}", "--web.enable-remote-write-receiver",
            "--storage.tsdb.retention.time=100y", "--log.level=error",
        ]  # fmt: skip
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - the user's own
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_ready(process, url, Path(folder) / "log")
            yield url
        finally:
            process.kill()
            process.wait(10)


def _wait_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    ends = time.monotonic() + START
    with open_session(HttpConfig(), Path()) as session:
        while time.monotonic() < ends and process.poll() is None:
            with contextlib.suppress(NetError):
                if call(session, "GET", f"{url}/-/ready", deadline=2.0).status == 200:
                    return
            time.sleep(0.05)
    raise NoPrometheus(f"Prometheus did not start: {log.read_text(errors='replace').strip()[-500:] or 'no word of it'}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
