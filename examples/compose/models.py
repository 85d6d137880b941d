"""Simulated model servers: the metrics of three models, one of which drifts until it is retrained.

models.py [HOST:PORT], by default 127.0.0.1:8000. Prometheus scrapes GET /metrics. train.py calls POST
/retrain?pipeline=NAME, which serves the next version.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

CALM_SECONDS = 30.0
started = time.monotonic()
versions = {("shop", "ranking"): 7, ("shop", "search"): 2, ("fraud", "scoring"): 12}
drifting = {"ranking"}
lock = threading.Lock()


def metrics() -> str:
    """Return the /metrics page: drift and p95 of each model."""
    drift, latency = ["# TYPE model_drift_score gauge"], ["# TYPE model_latency_p95_seconds gauge"]
    late = max(0.0, time.monotonic() - started - CALM_SECONDS)
    with lock:
        for (project, pipeline), version in versions.items():
            labels = f'{{project="{project}",pipeline="{pipeline}",version="{version}"}}'
            score = 0.7 * min(1.0, late / 15) if pipeline in drifting else 0.0
            drift.append(f"model_drift_score{labels} {max(score, 0.15) + random.uniform(0, 0.03):.4f}")
            latency.append(f"model_latency_p95_seconds{labels} {0.11 + random.uniform(0, 0.02):.4f}")
    return "\n".join([*drift, *latency, ""])


def retrain(pipeline: str) -> str:
    """Serve the next version of a pipeline, without drift, and return its name as JSON."""
    with lock:
        (key,) = (key for key in versions if key[1] == pipeline)
        versions[key] += 1
        drifting.discard(pipeline)
        return json.dumps({"new_version": str(versions[key])})


class Handler(BaseHTTPRequestHandler):
    """HTTP handler of both calls."""

    def do_GET(self) -> None:
        self._answer(200, metrics() if self.path == "/metrics" else "ready\n")

    def do_POST(self) -> None:
        try:
            self._answer(200, retrain(parse_qs(urlsplit(self.path).query)["pipeline"][0]))
        except (KeyError, ValueError):
            self._answer(404, "no such pipeline\n")

    def _answer(self, status: int, text: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_: object) -> None:
        """Log nothing: Prometheus scrapes every few seconds."""


if __name__ == "__main__":
    host, _, port = (sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:8000").rpartition(":")
    ThreadingHTTPServer((host, int(port)), Handler).serve_forever()
