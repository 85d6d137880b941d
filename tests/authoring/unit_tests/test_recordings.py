"""Recording rules of a test: in order, with their labels, stale markers and errors."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from bridge.authoring.unit_tests import recordings, remote_write
from bridge.authoring.unit_tests.recordings import Recorder
from bridge.authoring.unit_tests.remote_write import Series
from bridge.domain.errors import BridgeError
from bridge.domain.rule import Group, RecordingRule
from bridge.net.session import Answer


class FakePrometheus:
    """Answers by expression, and notes what happens in which order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **results: Any) -> None:
        self.results: dict[str, Any] = results
        self.log: list[Any] = []
        monkeypatch.setattr(recordings, "call", self.call)
        monkeypatch.setattr(remote_write, "write", self.write)

    def call(self, _: object, __: str, url: str, **___: object) -> Answer:
        expr = parse_qs(urlsplit(url).query)["query"][0]
        self.log.append(expr)
        found = self.results.get(expr, [])
        body = found if isinstance(found, dict) else _success("vector", found)
        return Answer(200, {}, json.dumps(body).encode(), truncated=False)

    def write(self, _: object, __: str, series: Iterable[Series]) -> str:
        self.log.append([(labels, *points) for labels, points in series])
        return ""


def _success(kind: str, result: Any) -> dict[str, Any]:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


def sample(value: float, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [0, str(value)]}


def recorder(*rules: RecordingRule) -> Recorder:
    return Recorder(requests.Session(), "http://p", [Group("g", 60_000, {}, (), recordings=rules)], 0)


def test_results_are_written_under_the_rule_s_name_and_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePrometheus(monkeypatch, up=[sample(1, __name__="up", job="a", env="x")])
    recorder(RecordingRule("r", "up", {"env": "y"})).evaluate(60_000)
    assert fake.log == ["up", [({"__name__": "r", "job": "a", "env": "y"}, (60_000, 1.0))]]


def test_a_rule_reads_what_one_before_it_wrote(monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes wait until somebody reads them."""
    fake = FakePrometheus(monkeypatch, up=[sample(1)], down=[sample(0)])
    recorder(RecordingRule("a", "up"), RecordingRule("b", "down"), RecordingRule("c", "a + 1")).evaluate(0)
    assert [entry if isinstance(entry, str) else len(entry) for entry in fake.log] == ["up", "down", 2, "a + 1"]


def test_a_series_that_is_gone_gets_a_stale_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePrometheus(monkeypatch, up=[sample(1, job="a")])
    rules = recorder(RecordingRule("r", "up"))
    rules.evaluate(0)
    fake.results["up"] = []
    rules.evaluate(60_000)
    ((labels, (at, value)),) = fake.log[-1]
    assert (labels, at, math.isnan(value)) == ({"__name__": "r", "job": "a"}, 60_000, True)
    rules.evaluate(120_000)
    assert fake.log[-1] == "up", "once"


def test_a_scalar_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = FakePrometheus(monkeypatch)
    fake.results["1"] = _success("scalar", [0, "1"])
    recorder(RecordingRule("r", "1")).evaluate(0)
    assert fake.log[-1] == [({"__name__": "r"}, (0, 1.0))]


@pytest.mark.parametrize(
    ("result", "reason"),
    [
        ({"status": "error", "error": "parse error"}, "parse error"),
        (_success("matrix", []), "the result is a matrix"),
        ([sample(1, job="a"), sample(2, job="b")], "same labelset after applying rule labels"),
        ([{"metric": {}, "histogram": []}], "native histogram"),
    ],
)
def test_what_cannot_be_recorded_is_an_error(monkeypatch: pytest.MonkeyPatch, result: Any, reason: str) -> None:
    FakePrometheus(monkeypatch, up=result)
    with pytest.raises(BridgeError, match=f"recording rule r was not evaluated at 1m: .*{reason}"):
        recorder(RecordingRule("r", "up", {"job": "x"})).evaluate(60_000)
