"""A Prometheus of our own for the time of a test: an empty store on a free loopback port, gone afterwards."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import requests

from bridge.domain.errors import BridgeError
from bridge.net.session import NetError, call

START = 30.0  # seconds
TRIES = 3
_CONFIG = "global: {scrape_interval: 1h}\n"
_TAKEN = "address already in use"


class PrometheusNotFoundError(BridgeError):
    """There is no Prometheus to evaluate expressions with."""


def find_binary(named: str = "") -> str:
    """Return the path of a prometheus binary. Raises PrometheusNotFoundError, which says how to get one."""
    found = shutil.which(named or "prometheus")
    if found is None:
        what = f"{named} is not a program" if named else "there is no prometheus on PATH"
        raise PrometheusNotFoundError(
            f"{what}: PromQL is evaluated by a real Prometheus. Install one (Debian and Ubuntu: apt-get install "
            "prometheus; others: https://prometheus.io/download), or name it with --prometheus.binary"
        )
    return found


@contextlib.contextmanager
def throwaway_prometheus(binary: str, session: requests.Session) -> Iterator[str]:
    """Run a Prometheus with the remote write receiver and yield its URL. Raises PrometheusNotFoundError."""
    with tempfile.TemporaryDirectory(prefix="retrain-bridge-test-") as folder, contextlib.ExitStack() as stack:
        (Path(folder) / "prometheus.yml").write_text(_CONFIG, encoding="utf-8")
        for attempt in range(1, TRIES + 1):
            try:
                url = stack.enter_context(_running(binary, Path(folder), session))
                break
            except _PortTakenError as error:
                if attempt == TRIES:
                    raise PrometheusNotFoundError(str(error)) from None
        yield url


class _PortTakenError(BridgeError):
    """Another process took the port first."""


@contextlib.contextmanager
def _running(binary: str, folder: Path, session: requests.Session) -> Iterator[str]:
    address = f"127.0.0.1:{_free_port()}"
    command = [
        binary, f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
        f"--web.listen-address={address}", "--web.enable-remote-write-receiver",
        "--storage.tsdb.retention.time=106751d", "--log.level=error", "--enable-feature=native-histograms",
    ]  # fmt: skip
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603 - the user's own
    try:
        _wait_ready(process, f"http://{address}", folder, session)
        yield f"http://{address}"
    finally:
        process.kill()
        process.wait(10)


def _wait_ready(process: subprocess.Popen[bytes], url: str, folder: Path, session: requests.Session) -> None:
    ends = time.monotonic() + START
    while time.monotonic() < ends and process.poll() is None:
        with contextlib.suppress(NetError):
            if call(session, "GET", f"{url}/-/ready", deadline=2.0).status == 200 and _ours(url, folder, session):
                return
        time.sleep(0.02)
    said = (folder / "log").read_text(errors="replace").strip()[-500:]
    if _TAKEN in said:
        raise _PortTakenError(f"Prometheus did not start: {said}")
    raise PrometheusNotFoundError(f"Prometheus did not start: {said or 'no word of it'}")


def _ours(url: str, folder: Path, session: requests.Session) -> bool:
    """Return whether the server is the one that was started, and not another that took the port."""
    flags = json.loads(call(session, "GET", f"{url}/api/v1/status/flags", deadline=2.0).body)
    return bool(flags["data"]["storage.tsdb.path"] == f"{folder}/data")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
