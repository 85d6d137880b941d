"""`check config --ask-prometheus`, with a real server: what no file can tell."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.authoring.online import ask_prometheus
from bridge.authoring.online_lint import doubts
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
    assert third == "R2: warning: signal 's2' has no sample of any model now [no-sample]"


def test_a_label_that_no_series_has_is_told(server: Prometheus, tmp_path: Path) -> None:
    """The mapping has a slip."""
    found = asked(tmp_path, server.url, "model_drift_score", models="verson")
    assert "R0: no series in Prometheus has the label 'verson' of a model (did you mean 'version'?)" in found


def test_a_server_that_is_away_is_one_problem(tmp_path: Path) -> None:
    """Not one for each expression."""
    (found,) = asked(tmp_path, "http://127.0.0.1:1", "a", "b")
    assert found.startswith("prometheus: ")
    assert found.endswith("Connection refused")


def doubted(folder: Path, url: str, expr: str, limit: str, **rule: str) -> list[str]:
    """The lints that a Prometheus raises of one rule."""
    one = {"retrain": "R", "signal": "s", "strategy": {"threshold": json.loads(limit)}, **rule}
    group = {"name": "g", "query_offset": "0s", "signals": {"s": {"event": "custom", "expr": expr}}, "rules": [one]}
    (folder / "rules.yml").write_text(json.dumps({"groups": [group]}))
    config = {
        "prometheus": {"url": url}, "rule_files": ["rules.yml"], "route": {"receiver": "team"},
        "receivers": [{"name": "team", "log_configs": [{}]}],
    }  # fmt: skip
    (folder / "bridge.yml").write_text(json.dumps(config))
    return [f"{problem.lint}: {problem.message}" for problem in ask_prometheus(folder / "bridge.yml", NOW, doubts)]


@pytest.fixture(scope="module")
def measured() -> Iterator[Prometheus]:
    """A day of drift between 0.2 and 0.4, a sample every ten minutes, and a model that nobody looks at."""
    times = range(NOW - 86_400_000, NOW, 600_000)
    points = [(at, 0.2 + 0.2 * (place % 2)) for place, at in enumerate(times)]
    with prometheus(flags=["--web.enable-remote-write-receiver"]) as running:
        for start in range(0, len(points), 3):  # no sample is an hour older than the newest
            remote_write(running.url, [(labels("model_drift_score", "7"), points[start : start + 3])])
        remote_write(running.url, [(labels("other", "9"), [(NOW - 120_000, 1.0)])])
        yield running


EXPR = "last_over_time(model_drift_score[15m])"


def test_a_limit_is_held_against_what_was_measured(measured: Prometheus, tmp_path: Path) -> None:
    """Past it all day, or nowhere near it: most likely another unit."""
    alone = "uncovered-model: no rule has a number of shop/ranking/9"
    cases = {
        '{"max": 0.5}': [],
        '{"max": 0.1}': ["always-breached: s was never below 0.2 in the last 1d, and max is 0.1"],
        '{"min": 0.9}': ["always-breached: s was never above 0.4 in the last 1d, and min is 0.9"],
        '{"max": 200}': ["far-from-measured: s was never above 0.4 in the last 1d, and max is 200"],
    }
    for limit, expected in cases.items():
        assert doubted(tmp_path, measured.url, EXPR, limit) == [alone, *expected]


def test_for_is_held_against_the_time_between_samples(measured: Prometheus, tmp_path: Path) -> None:
    """Six an hour: `for: 5m` would be decided by one of them."""
    found = doubted(tmp_path, measured.url, EXPR, '{"max": 0.5}', **{"for": "5m"})
    told = "for (5m) is shorter than the time between two samples of model_drift_score (10m)"
    assert f"shorter-than-scrape: {told}" in found
    assert len(doubted(tmp_path, measured.url, EXPR, '{"max": 0.5}', **{"for": "10m"})) == 1
