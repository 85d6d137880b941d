"""`check config --ask-prometheus`, with a real server: what no file can tell."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.authoring.online import ask_prometheus
from tests.support.remote_write import remote_write
from tests.support.servers import Prometheus, prometheus

NOW = int(time.time()) * 1000


def labels(name: str, version: str, **more: str) -> dict[str, str]:
    return {"__name__": name, "project": "shop", "pipeline": "ranking", "version": version, **more}


@pytest.fixture(scope="module")
def server() -> Iterator[Prometheus]:
    sample = [(NOW - 1000, 0.5)]
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as running:
        remote_write(running.url, [
            (labels("model_drift_score", "7"), sample),
            (labels("model_drift_score", "8"), sample),
            (labels("model_latency_seconds", "7", instance="a"), sample),
            (labels("model_latency_seconds", "7", instance="b"), sample),
            ({"__name__": "model_errors", "project": "shop", "pipeline": "ranking"}, sample),
        ])  # fmt: skip
        yield running


def asked(folder: Path, url: str, *signals: str, expr: str = "", models: str = "version") -> list[str]:
    """What is said of rules on these expressions, without the file's name."""
    rules: list[dict[str, object]] = [
        {"retrain": f"R{place}", "signal": f"s{place}", "strategy": {"threshold": {"max": 0.6}}}
        for place in range(len(signals))
    ]
    rules += [{"retrain": "Plain", "expr": expr}] if expr else []
    group = {
        "name": "g",
        "query_offset": "0s",
        "signals": {f"s{place}": {"event": "custom", "expr": text} for place, text in enumerate(signals)},
        "rules": rules,
    }
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    config = {
        "prometheus": {"url": url},
        "models": {"labels": {"version": models}},
        "rule_files": ["rules.yml"],
        "route": {"receiver": "team"},
        "receivers": [{"name": "team", "log_configs": [{}]}],
    }
    (folder / "bridge.yml").write_text(json.dumps(config))
    found = ask_prometheus(folder / "bridge.yml", NOW)
    return [str(problem).partition(": ")[2] for problem in found]


def test_what_prometheus_answers_is_in_order(server: Prometheus, tmp_path: Path) -> None:
    """An expression that nothing fulfils just now, too: that is how it is while all is well."""
    assert asked(tmp_path, server.url, "model_drift_score", expr="model_drift_score > 0.9") == []


def test_an_unknown_metric_is_told_with_what_may_be_meant(server: Prometheus, tmp_path: Path) -> None:
    """Of signals and of plain expressions."""
    found = asked(tmp_path, server.url, "max by (project) (model_drift_scor)", expr="modl_errors > 1")
    assert found == [
        "Plain: Prometheus knows no metric 'modl_errors' (did you mean 'model_errors'?)",
        "R0: Prometheus knows no metric 'model_drift_scor' (did you mean 'model_drift_score'?)",
    ]


def test_what_prometheus_or_the_mapping_refuses_is_told(server: Prometheus, tmp_path: Path) -> None:
    """In the words that an evaluation would have."""
    first, second, third = asked(
        tmp_path, server.url, "model_latency_seconds", "model_drift_score + on () model_drift_score", "model_errors"
    )
    assert "R0: signal 's0': two series are the same model shop/ranking/7" in first
    assert second.startswith("R1: HTTP 422 execution: ")
    assert third == "R2: signal 's2' has no sample of any model now"


def test_a_label_that_no_series_has_is_told(server: Prometheus, tmp_path: Path) -> None:
    """The mapping has a slip."""
    found = asked(tmp_path, server.url, "model_drift_score", models="verson")
    assert "R0: no series in Prometheus has the label 'verson' of a model (did you mean 'version'?)" in found


def test_a_server_that_is_away_is_one_problem(tmp_path: Path) -> None:
    """Not one for each expression."""
    (found,) = asked(tmp_path, "http://127.0.0.1:1", "a", "b")
    assert found.startswith("prometheus: ")
    assert found.endswith("Connection refused")
