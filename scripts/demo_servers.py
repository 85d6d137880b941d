"""Servers of scripts/demo: an exporter, a real Prometheus and Alertmanager, the bridge and a pipeline."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from demo_pipelines import Pipeline

TOP = Path(__file__).resolve().parent.parent
MODELS = [("shop", "ranking", "7"), ("shop", "search", "2"), ("fraud", "scoring", "12")]
DRIFTING = MODELS[0]
HISTORY_HOURS = 3
console = Console(highlight=False)
started = time.monotonic()


class DemoError(Exception):
    """Failed start of a server."""


def say(what: str, text: str, style: str = "") -> None:
    """Print one line: seconds since the start, subject, event."""
    line = Text(f"{time.monotonic() - started:6.1f}s  ", style="dim")
    line.append(f"{what:<13}", style="bold cyan")
    line.append(text, style=style)
    console.print(line, soft_wrap=True)


def free_port() -> int:
    """Return a free loopback port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def address(url: str) -> str:
    """Return HOST:PORT of a URL."""
    return urllib.parse.urlsplit(url).netloc


def get(url: str) -> Any:
    """Return the JSON at a URL, or None if there is no answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read())
    except (OSError, ValueError):
        return None


def answers(url: str) -> bool:
    """Return whether a URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


# ---------------------------------------------------------------- models


class Models:
    """Metrics of three models.

    One of them drifts from `drift_at` on (seconds of time.time()), until its pipeline serves `new_version`.
    """

    def __init__(self) -> None:
        self.drift_at = float("inf")
        self.new_version = ""
        self._random = random.Random(7)

    def values(self, at: float) -> Iterator[tuple[str, str, float]]:
        for number, (project, pipeline, version) in enumerate(MODELS):
            drifts = (project, pipeline, version) == DRIFTING
            served = self.new_version if drifts and self.new_version else version
            labels = f'{{project="{project}",pipeline="{pipeline}",version="{served}"}}'
            drift = 0.15 + 0.05 * number + self._random.uniform(0, 0.03)
            if drifts and not self.new_version and at > self.drift_at:
                drift = min(0.702, drift + (at - self.drift_at) * 0.2)
            yield "model_drift_score", labels, drift
            yield "model_latency_p95_seconds", labels, 0.11 + self._random.uniform(0, 0.02)
            yield "model_requests_total", labels, float(int(at) % 10_000_000 * 20)
            yield "model_errors_total", labels, float(int(at) % 10_000_000 // 10)

    def exposition(self) -> str:
        return "".join(f"{name}{labels} {value:.10g}\n" for name, labels, value in self.values(time.time()))

    def history(self, until: float, instance: str) -> str:
        """Return OpenMetrics text of the hours before `until`, one sample every 15 s, as if it had been scraped."""
        rows: dict[str, list[str]] = {}
        for step in range(int(HISTORY_HOURS * 240), 0, -1):
            at = int(until) - step * 15
            for name, labels, value in self.values(at):
                scraped = f'{labels[:-1]},job="models",instance="{instance}"}}'
                rows.setdefault(name, []).append(f"{name}{scraped} {value:.10g} {at}\n")
        text = ""
        for name, lines in rows.items():
            counter = name.endswith("_total")
            text += f"# TYPE {name.removesuffix('_total')} {'counter' if counter else 'gauge'}\n"
            text += "".join(sorted(lines, key=lambda line: (line.split(" ")[0], int(line.split(" ")[2]))))
        return text + "# EOF\n"


def serve(handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    """Start an HTTP server in a thread, on a free loopback port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def exporter(models: Models) -> ThreadingHTTPServer:
    """Start the exporter of the models' metrics."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = models.exposition().encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return serve(Page)


def busy_proxy(target: str, report: Callable[[str], None]) -> ThreadingHTTPServer:
    """Start a proxy that answers the first POST with 503 and Retry-After, and forwards everything else."""
    refused = threading.Event()

    class Proxy(BaseHTTPRequestHandler):
        def _forward(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.command == "POST" and not refused.is_set():
                refused.set()
                report("answers the first POST with 503, Retry-After: 2")
                self._answer(503, {"Retry-After": "2"}, b'{"title": "busy"}')
                return
            headers = {key: value for key, value in self.headers.items() if key.lower() != "host"}
            request = urllib.request.Request(target + self.path, body or None, headers, method=self.command)
            try:
                with urllib.request.urlopen(request, timeout=10) as answer:
                    self._answer(answer.status, {"Content-Type": "application/json"}, answer.read())
            except urllib.error.HTTPError as error:
                with error:
                    self._answer(error.code, {"Content-Type": "application/json"}, error.read())
            except OSError as error:
                self._answer(502, {}, str(error).encode())

        do_GET = do_POST = _forward  # noqa: N815 - http.server's names

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    return serve(Proxy)


# ---------------------------------------------------------------- programs


def guarded(command: tuple[str, ...]) -> list[str]:
    """Return the command such that the kernel kills it when the demo ends, if setpriv is available."""
    return ["setpriv", "--pdeathsig", "KILL", "--", *command] if shutil.which("setpriv") else list(command)


class Programs:
    """Started programs, stopped in reverse order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, *command: str, ready: str, env: dict[str, str] | None = None, limit: float = 30.0
    ) -> None:
        """Start a program and wait until `ready` answers 200; raises DemoError with the end of its log.

        env: its environment, default this process's. limit: seconds until it must be ready.
        """
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                guarded(command), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env,
                start_new_session=True,  # Ctrl-C reaches only the demo, which then stops them in order
            )  # fmt: skip
        self.running.append((name, process))
        deadline = time.monotonic() + limit
        while not answers(ready):
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"{name} did not start; the end of its log:\n{self.tail(name)}")
            time.sleep(0.1)

    def tail(self, name: str) -> str:
        return "\n".join((self.folder / f"{name}.log").read_text(errors="replace").splitlines()[-15:])

    def stop(self) -> None:
        for _, process in reversed(self.running):
            process.terminate()
        deadline = time.monotonic() + 6
        for _, process in reversed(self.running):
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(5)


class Servers:
    """All servers of the demo, on free loopback ports, with their files in one folder."""

    def __init__(self, folder: Path, pipeline: Pipeline) -> None:
        self.folder = folder
        self.pipeline = pipeline
        self.programs = Programs(folder)
        self.models = Models()
        self.prometheus, self.alertmanager, self.bridge = (f"http://127.0.0.1:{free_port()}" for _ in range(3))
        self._servers: list[ThreadingHTTPServer] = []

    def set_up(self) -> None:
        say("set-up", f"backfilling {HISTORY_HOURS} hours of {len(MODELS)} models into Prometheus")
        self._servers.append(exporter(self.models))
        self._start_prometheus(self._servers[0].server_address[1])
        self._start_alertmanager()
        self.pipeline.start(self.programs, self.bridge)
        proxy = busy_proxy(self.pipeline.url, lambda text: say(self.pipeline.name, text, "yellow"))
        self._servers.append(proxy)
        self._start_bridge(f"http://127.0.0.1:{proxy.server_address[1]}")
        say("open", f"{self.bridge}/ in a browser to follow the demo in the web interface", "bold")
        say("files", f"bridge.yml, rules and logs are in {self.folder}, which is removed at the end")
        command = Path(sys.executable).with_name("retrain-bridge")
        say("commands", f"export RETRAIN_BRIDGE_URL={self.bridge}; {command} models list")
        say("see also", f"Prometheus   {self.prometheus}/graph?g0.expr=model_drift_score&g0.tab=0&g0.range_input=15m")
        say("", f"Alertmanager {self.alertmanager}/#/alerts")
        say("", f"{self.pipeline.name:<12} {self.pipeline.page()}")

    def _start_prometheus(self, port: int) -> None:
        folder = self.folder
        (folder / "history.om").write_text(self.models.history(time.time(), f"127.0.0.1:{port}"))
        made = subprocess.run(
            ["promtool", "tsdb", "create-blocks-from", "openmetrics", "-q", "history.om", "prometheus-data"],
            cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        if made.returncode:
            raise DemoError(f"promtool could not backfill: {made.stderr[-500:]}")
        config = {
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s"},
            "scrape_configs": [
                {"job_name": "models", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]},
                {
                    "job_name": "retrain-bridge",
                    "static_configs": [{"targets": [address(self.bridge)]}],
                },
            ],
        }
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.programs.start(
            "prometheus", "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=prometheus-data",
            f"--web.listen-address={address(self.prometheus)}", ready=f"{self.prometheus}/-/ready",
        )  # fmt: skip

    def _start_alertmanager(self) -> None:
        (self.folder / "alertmanager.yml").write_text("route: {receiver: people}\nreceivers: [{name: people}]\n")
        program = "prometheus-alertmanager" if shutil.which("prometheus-alertmanager") else "alertmanager"
        self.programs.start(
            "alertmanager", program, "--config.file=alertmanager.yml", "--storage.path=alertmanager-data",
            "--cluster.listen-address=", f"--web.listen-address={address(self.alertmanager)}",
            ready=f"{self.alertmanager}/-/ready",
        )  # fmt: skip

    def _start_bridge(self, pipeline: str) -> None:
        (self.folder / "rules").mkdir()
        shutil.copy(TOP / "rules" / "demo.yml", self.folder / "rules")
        config = {
            "global": {"evaluation_interval": "5s", "query_offset": "0s", "resend_delay": "5s"},
            "prometheus": {"url": self.prometheus},
            "rule_files": ["rules/*.yml"],
            "models": {"retire_after": "30s"},  # the version that was replaced leaves within a minute
            "gates": {"verdict": {"settle": "10s"}},  # shows within a minute whether it helped
            "route": {"receiver": "team"},
            "receivers": [
                {
                    "name": "team",
                    **self.pipeline.receiver(pipeline),
                    "alertmanager_configs": [{"url": self.alertmanager}],
                }
            ],
        }
        (self.folder / "bridge.yml").write_text(json.dumps(config, indent=1))
        self.programs.start(
            "bridge", sys.executable, "-m", "bridge.cli", "run", "--config.file=bridge.yml",
            "--storage.path=bridge-data", f"--web.listen-address={address(self.bridge)}",
            ready=f"{self.bridge}/-/ready",
        )  # fmt: skip

    def stop(self) -> None:
        self.programs.stop()
        for server in self._servers:
            server.shutdown()
            server.server_close()
