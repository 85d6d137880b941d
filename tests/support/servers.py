"""Real Prometheus and Alertmanager servers for tests, and an exporter whose text the test sets.

with exporter() as page, prometheus(targets=[page.target]) as server:
    page.text = 'drift{project="a"} 1'
    wait_until(lambda: server.query("drift"), 10, "first scrape")
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.support.processes import Program, free_port, kept_for_the_test, wait_until

__all__ = ["Alertmanager", "Exporter", "Prometheus", "alertmanager", "backfill", "exporter", "free_port", "prometheus",
           "wait_until"]  # fmt: skip

NO_RECEIVER = "route: {receiver: none}\nreceivers: [{name: none}]\n"


def http(method: str, url: str, body: object = None, timeout: float = 60.0) -> tuple[int, str]:
    """Status and text of one request; status 0 when there was no answer. `body` is sent as JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except (OSError, HTTPException) as error:
        return _refusal(error) if isinstance(error, urllib.error.HTTPError) else (0, "")


def _refusal(error: urllib.error.HTTPError) -> tuple[int, str]:
    """Status and text of an answer that is an error; status 0 when its text did not come whole, or not in time."""
    try:
        with error:
            return error.code, error.read().decode(errors="replace")
    except (OSError, HTTPException):
        return 0, ""


@dataclass
class Server:
    """A program that listens on `url` and says on `<url>/-/ready` when it can be used."""

    program: Program
    url: str

    @property
    def folder(self) -> Path:
        return self.program.folder

    def start(self) -> None:
        """Start it, again on the same port and data, and wait until it is ready."""
        self.program.start()
        self.program.wait_ready(lambda: http("GET", f"{self.url}/-/ready", timeout=2)[0] == 200)

    def kill(self) -> None:
        self.program.kill()


class Prometheus(Server):
    """A running Prometheus. Its data is in `folder / "data"`, its configuration in `folder / "prometheus.yml"`."""

    def query(self, expr: str, at: float | None = None) -> list[dict[str, Any]]:
        """The result list of an instant query; empty when it was refused."""
        values = {"query": expr} if at is None else {"query": expr, "time": str(at)}
        status, text = http("GET", f"{self.url}/api/v1/query?{urllib.parse.urlencode(values)}")
        result: list[dict[str, Any]] = json.loads(text)["data"]["result"] if status == 200 else []
        return result

    def reload(self) -> None:
        assert http("POST", f"{self.url}/-/reload")[0] == 200, self.program.log


class Alertmanager(Server):
    """A running Alertmanager."""

    def alerts(self) -> list[dict[str, Any]]:
        """What GET /api/v2/alerts lists."""
        found: list[dict[str, Any]] = json.loads(http("GET", f"{self.url}/api/v2/alerts")[1] or "[]")
        return found


@contextlib.contextmanager
def prometheus(
    config_text: str = "",
    *,
    targets: Sequence[str] = (),
    scrape_interval: str = "1s",
    rules: str = "",
    retention: str = "10y",
    history: str = "",
    flags: Sequence[str] = (),
    port: int | None = None,
) -> Iterator[Prometheus]:
    """A Prometheus that scrapes `targets` ("host:port"), or is configured by `config_text`.

    It begins to scrape after 5 s (its discovery waits); samples by remote write are there at once.
    rules: text of a rule file. history: OpenMetrics text with times, in the store before it starts. flags: more
    command line flags, for instance "--web.enable-remote-write-receiver" (tests/support/remote_write.py).
    """
    folder = Path(tempfile.mkdtemp(prefix="prometheus-"))
    (folder / "rules.yml").write_text(rules or "groups: []\n")
    (folder / "prometheus.yml").write_text(config_text or _scrape_config(targets, scrape_interval))
    (folder / "data").mkdir()
    port = port or free_port()
    command = [
        "prometheus", f"--web.listen-address=127.0.0.1:{port}", f"--config.file={folder}/prometheus.yml",
        f"--storage.tsdb.path={folder}/data", f"--storage.tsdb.retention.time={retention}", "--web.enable-lifecycle",
        *flags,
    ]  # fmt: skip
    server = Prometheus(Program(command, folder, "prometheus"), f"http://127.0.0.1:{port}")
    with kept_for_the_test(server.program):
        if history:
            backfill(folder / "data", history)
        server.start()
        yield server


def _scrape_config(targets: Sequence[str], interval: str) -> str:
    job = {"job_name": "models", "static_configs": [{"targets": list(targets)}]}
    timing = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    return json.dumps({"global": timing, "rule_files": ["rules.yml"], "scrape_configs": [job] if targets else []})


@contextlib.contextmanager
def alertmanager(
    config_text: str = NO_RECEIVER, *, flags: Sequence[str] = (), port: int | None = None
) -> Iterator[Alertmanager]:
    """A single Alertmanager with its configuration in `folder / "alertmanager.yml"`."""
    folder = Path(tempfile.mkdtemp(prefix="alertmanager-"))
    (folder / "alertmanager.yml").write_text(config_text)
    port = port or free_port()
    command = [
        "prometheus-alertmanager", f"--web.listen-address=127.0.0.1:{port}", "--cluster.listen-address=",
        f"--config.file={folder}/alertmanager.yml", f"--storage.path={folder}/data", *flags,
    ]  # fmt: skip
    server = Alertmanager(Program(command, folder, "alertmanager"), f"http://127.0.0.1:{port}")
    with kept_for_the_test(server.program):
        server.start()
        yield server


def backfill(data: Path, openmetrics: str) -> None:
    """Put samples with times (OpenMetrics text, ends with "# EOF") into the store of a Prometheus that is stopped."""
    source = data.parent / "history.om"
    source.write_text(openmetrics if openmetrics.rstrip().endswith("# EOF") else openmetrics + "# EOF\n")
    command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(source), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@dataclass
class Exporter:
    """A /metrics page: `text` is what it shows from now on; `broken` answers 500 instead."""

    target: str
    text: str = ""
    broken: bool = False
    scrapes: int = 0
    content_type: str = "text/plain; version=0.0.4"


@contextlib.contextmanager
def exporter(text: str = "") -> Iterator[Exporter]:
    """Serve a /metrics page in this process."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page.scrapes += 1
            body = page.text if page.text.endswith("\n") else page.text + "\n"
            data = b"" if page.broken else body.encode()
            self.send_response(500 if page.broken else 200)
            self.send_header("Content-Type", page.content_type)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    page = Exporter(f"127.0.0.1:{server.server_port}", text)
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield page
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
