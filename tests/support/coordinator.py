"""A coordinator for tests: bodies, a real process, and a bridge that only listens."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests

from tests.support.processes import START_PATIENCE, UNMEASURED, wait_until

REQUESTS, ALERTS = "/api/v1/retrain-requests", "/api/v1/alertmanager"
SECRET = "whsec_" + base64.b64encode(b"a secret of 32 bytes for tests..").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of 32 bytes here.").decode()
TOKEN = "token-0123456789abcdef"
ID = "0123456789abcdef0123456789abcdef"
NOON = 1_772_366_400_000  # 2026-03-01T12:00:00Z


def an_id(number: int) -> str:
    return f"{number:032x}"


def body(request_id: str = ID, **changes: Any) -> dict[str, Any]:
    """A complete retrain request as a bridge sends it."""
    return {
        "id": request_id,
        "project": "shop",
        "pipeline": "churn",
        "version": "3",
        "reason": "drift 0.702 is above 0.6",
        "reasons": ["drift 0.702 is above 0.6"],
        "rule": "SustainedDrift",
        "attempt": 1,
        "triggered_at": "2026-03-01T12:00:00.000Z",
        "episode_start": "2026-03-01T12:00:00.000Z",
        "late": False,
        "labels": {"severity": "warning"},
        "annotations": {"summary": "drift"},
        "evidence": [
            {
                "rule": "SustainedDrift",
                "signal": "drift",
                "event": "drift",
                "query": "model_drift",
                "value": 0.702,
                "statistic": "NaN",
                "threshold": 0.6,
                "unit": "",
                "series": {"pipeline": "churn"},
            }
        ],
        **changes,
    }


def alert(request_id: str = ID, **changes: Any) -> dict[str, Any]:
    """An alert of a notification that asks for a retraining."""
    labels = {
        "alertname": "ModelRetrainRequested",
        "project": "shop",
        "pipeline": "churn",
        "version": "3",
        "rule": "SustainedDrift",
        "retrain_request_id": request_id,
    }
    return {
        "status": "firing",
        "labels": labels,
        "annotations": {"summary": "Retraining is asked for", "description": "drift 0.702 is above 0.6"},
        "startsAt": "2026-03-01T12:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://bridge/requests/1",
        "fingerprint": "aac5f95f0f6a987b",
        **changes,
    }


def notification(*alerts: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """What Alertmanager posts."""
    return {
        "version": "4",
        "groupKey": "{}:{}",
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "coordinator",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager",
        "alerts": list(alerts),
        **changes,
    }


class Client:
    """A caller of the coordinator's API."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        return self._session.request(method, self.url + path, timeout=60, **options)

    def submit(self, request_id: str = ID, headers: dict[str, str] | None = None, **changes: Any) -> requests.Response:
        """Post a request; `changes` are of its body."""
        key = {"Idempotency-Key": request_id}
        return self.call("POST", REQUESTS, json=body(request_id, **changes), headers={**key, **(headers or {})})

    def notify(self, *alerts: dict[str, Any], headers: dict[str, str] | None = None) -> requests.Response:
        """Post as Alertmanager does."""
        return self.call("POST", ALERTS, json=notification(*alerts), headers=headers)

    def cancel(self, request_id: str = ID, headers: dict[str, str] | None = None) -> requests.Response:
        return self.call("POST", f"{REQUESTS}/{request_id}/cancel", headers=headers)

    def get(self, request_id: str = ID) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"{REQUESTS}/{request_id}").json()
        return found

    def wait_for(self, state: str, request_id: str = ID) -> dict[str, Any]:
        """The record once it is in that state."""
        wait_until(lambda: self.get(request_id).get("state") == state, 15, f"{request_id} being {state}")
        return self.get(request_id)

    def metric(self, line: str) -> float:
        """The value of the sample that is spelled exactly so; -1 where there is none."""
        found = re.search(f"^{re.escape(line)} (.+)$", self.call("GET", "/metrics").text, re.MULTILINE)
        return float(found[1]) if found else -1


@dataclass
class Process:
    """A running `python -m bridge.coordinator`."""

    popen: subprocess.Popen[bytes]
    client: Client
    log: Path


@contextmanager
def process(folder: Path, prefix: Sequence[str] = (), *, measured: bool = False, **config: Any) -> Iterator[Process]:
    """The real thing on a free loopback port, with `config` as its coordinator.yml; killed at the end.

    prefix: a program that starts it, for example with fewer descriptors. measured: let coverage see it, if the
    test lets it end.
    """
    folder.mkdir(exist_ok=True)
    file, log = folder / "coordinator.yml", folder / "coordinator.log"
    file.write_text(json.dumps({"listen": "127.0.0.1:0", "storage": "data", **config}))
    with log.open("wb") as output:
        popen = subprocess.Popen(
            [*prefix, sys.executable, "-m", "bridge.coordinator", "--config.file", str(file)],
            stdout=output, stderr=output, env={**os.environ, **({} if measured else UNMEASURED)},
        )  # fmt: skip
    try:
        with Client(f"http://{_address(popen, log)}") as client:
            yield Process(popen, client, log)
    finally:
        popen.kill()
        popen.wait()


def _address(popen: subprocess.Popen[bytes], log: Path) -> str:
    def look() -> re.Match[str] | None:
        assert popen.poll() is None, log.read_text()
        return re.search(r"listening address='([^']+)'", log.read_text())

    found = wait_until(look, START_PATIENCE, "the coordinator listening")
    assert found is not None
    return found[1]


@dataclass
class Call:
    """A call that the listening bridge got."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass
class Bridge:
    """Answers reports with `statuses` in turn, then 200; keeps every call."""

    url: str
    statuses: list[int] = field(default_factory=list)
    retry_after: str = ""
    calls: list[Call] = field(default_factory=list)

    def states(self, request_id: str = ID) -> list[str]:
        return [call.json["state"] for call in self.calls if request_id in call.path]


@contextmanager
def listening_bridge(*statuses: int) -> Iterator[Bridge]:
    """An HTTP server in the place of a bridge."""
    bridge = Bridge("", list(statuses))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status = bridge.statuses.pop(0) if bridge.statuses else 200
            bridge.calls.append(Call(self.path, headers, content))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            if bridge.retry_after:
                self.send_header("Retry-After", bridge.retry_after)
            self.end_headers()

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    bridge.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield bridge
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
