"""Recording rules of a test, evaluated as promtool does: at every evaluation interval, one rule after the other."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import requests

from bridge.authoring.unit_tests import remote_write
from bridge.authoring.unit_tests.remote_write import Series
from bridge.authoring.unit_tests.series_notation import STALE
from bridge.domain.errors import BridgeError
from bridge.domain.rule import Group, RecordingRule
from bridge.domain.times import Timestamp, format_duration
from bridge.net.session import call

_MOST = 1 << 26  # bytes
_ANY_NAME = "__name__"
_LabelSet = frozenset[tuple[str, str]]


class Recorder:
    """Writes the results of recording rules into the Prometheus at `url`. begins: time 0 of the test."""

    def __init__(self, session: requests.Session, url: str, groups: Iterable[Group], begins: Timestamp) -> None:
        self._session = session
        self._url = url
        self._begins = begins
        self._rules = [rule for group in groups for rule in group.recordings]
        self._names = {rule.name for rule in self._rules}
        self._before: list[set[_LabelSet]] = [set() for _ in self._rules]
        self._unwritten: list[Series] = []
        self._unwritten_names: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def evaluate(self, at: Timestamp) -> None:
        """Evaluate every rule at an instant. Raises BridgeError."""
        for index, rule in enumerate(self._rules):
            if self._reads_unwritten(rule):
                self._write()
            samples = dict(self._labelled(rule, self._query(rule, at), at))
            gone = self._before[index] - samples.keys()
            self._before[index] = set(samples)
            series = [*samples.items(), *((labels, STALE) for labels in sorted(gone))]
            self._unwritten += [(dict(labels), [(at, value)]) for labels, value in series]
            self._unwritten_names |= {rule.name} if series else set()
        self._write()

    def _reads_unwritten(self, rule: RecordingRule) -> bool:
        if not self._unwritten:
            return False
        return _ANY_NAME in rule.expr or any(name in rule.expr for name in self._unwritten_names)

    def _write(self) -> None:
        if self._unwritten and (refused := remote_write.write(self._session, self._url, self._unwritten)):
            raise BridgeError(f"Prometheus refused samples of recording rules: {refused}")
        self._unwritten, self._unwritten_names = [], set()

    def _query(self, rule: RecordingRule, at: Timestamp) -> Sequence[Mapping[str, Any]]:
        form = urlencode({"query": rule.expr, "time": f"{at / 1000:.3f}"})
        answer = call(self._session, "GET", f"{self._url}/api/v1/query?{form}", deadline=30.0, max_bytes=_MOST)
        if answer.truncated:
            raise self._error(rule, at, f"the result is longer than {_MOST} bytes")
        body = json.loads(answer.body)
        if body["status"] != "success":
            raise self._error(rule, at, str(body.get("error", "refused")))
        type_, result = body["data"]["resultType"], body["data"]["result"]
        if type_ == "scalar":
            return [{"metric": {}, "value": result}]
        if type_ != "vector":
            raise self._error(rule, at, f"the result is a {type_}, which cannot be recorded")
        found: list[Mapping[str, Any]] = result
        return found

    def _labelled(
        self, rule: RecordingRule, result: Iterable[Mapping[str, Any]], at: Timestamp
    ) -> dict[_LabelSet, float]:
        found: dict[_LabelSet, float] = {}
        for item in result:
            if "value" not in item:
                raise self._error(rule, at, "the result is a native histogram, which cannot be recorded here")
            labels = {**item["metric"], **rule.labels, _ANY_NAME: rule.name}
            key = frozenset((name, text) for name, text in labels.items() if text)
            if key in found:
                raise self._error(rule, at, "vector contains metrics with the same labelset after applying rule labels")
            found[key] = float(item["value"][1])
        return found

    def _error(self, rule: RecordingRule, at: Timestamp, reason: str) -> BridgeError:
        when = format_duration(at - self._begins)
        return BridgeError(f"recording rule {rule.name} was not evaluated at {when}: {reason}")
