"""A server that answers with warnings, as Thanos does: `check --ask-prometheus`, and the real bridge."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bridge.authoring.check.online import ask_prometheus
from tests.support.bridge import bridge
from tests.support.processes import wait_until

NOTE = (
    "PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
    '"model_requests" (1:6)'
)
LOST = "receive series from store-2: context deadline exceeded"
EXPR = "sum by (project, pipeline, version) (rate(model_failures[5m])) > 0.5"


@contextmanager
def warning(*texts: str) -> Iterator[str]:
    """The address of a server that knows one breached model, and warns."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            row = {"metric": {"project": "shop", "pipeline": "p", "version": "7"}, "value": [time.time(), "0.9"]}
            data: object = {"resultType": "vector", "result": [row]}
            if "/query" not in self.path:
                data = ["model_failures", "model_requests", "project", "pipeline", "version"]
            body = json.dumps({"status": "success", "data": data, "warnings": texts}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: object) -> None:
            """Nothing of interest."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def rules(**more: object) -> dict[str, object]:
    return {"groups": [{"name": "g", "interval": "1s", "rules": [{"retrain": "Fails", "expr": EXPR, **more}]}]}


USE = {"inconclusive": {"partial": "use"}}


@pytest.mark.parametrize(
    ("texts", "more", "answer"),
    [((NOTE, "PromQL warning: x"), {}, "noted"), ((NOTE, LOST), USE, "partial_used")],
    ids=["notes", "use"],
)
def test_notes_of_the_engine_and_partial_answers_that_may_be_used_are_judged(
    texts: tuple[str, ...], more: dict[str, object], answer: str
) -> None:
    """A retraining is asked for, the rule is well, and what its answers were is counted."""
    with warning(*texts) as url, bridge(url, rules(**more), {"log_configs": [{}]}) as process:
        process.start()
        wait_until(lambda: bool(process.requests()), 30, "a request")
        assert process.rule("Fails")["health"] == "ok"
        assert process.metric(f'retrain_bridge_rule_answers_total{{answer="{answer}",group="g",rule="Fails"}}') >= 1


def test_a_partial_answer_that_may_not_be_used_is_counted() -> None:
    """Nothing is asked for, and the rule says why."""
    with warning(NOTE, LOST) as url, bridge(url, rules(), {"log_configs": [{}]}) as process:
        process.start()
        name = 'retrain_bridge_rule_answers_total{answer="partial",group="g",rule="Fails"}'
        wait_until(lambda: process.metric(name) >= 3, 30, "some evaluations")
        assert process.requests() == []
        assert LOST in process.rule("Fails")["lastError"]


@pytest.mark.parametrize(
    ("texts", "more", "said"),
    [
        ((NOTE,), {}, []),
        ((NOTE, LOST), USE, []),
        (
            (NOTE, LOST),
            {},
            [f"the result from Prometheus is partial: {NOTE}; {LOST}; until that ends, rule 'Fails' is inconclusive"],
        ),
    ],
)
def test_check_reports_models_that_would_never_be_evaluated(
    tmp_path: Path, texts: tuple[str, ...], more: dict[str, object], said: list[str]
) -> None:
    """With the answer before it; notes of the engine are none."""
    (tmp_path / "rules.yml").write_text(json.dumps(rules(**more)))
    with warning(*texts) as url:
        config = {
            "prometheus": {"url": url}, "rule_files": ["rules.yml"], "route": {"receiver": "r"},
            "receivers": [{"name": "r", "log_configs": [{}]}],
        }  # fmt: skip
        (tmp_path / "bridge.yml").write_text(json.dumps(config))
        found = ask_prometheus(tmp_path / "bridge.yml", int(time.time() * 1000))
    assert [problem.message for problem in found] == said
    assert {problem.lint for problem in found} <= {"partial-answer"}
