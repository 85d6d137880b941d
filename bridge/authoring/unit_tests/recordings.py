"""Rules of a test that write series, evaluated as promtool does: at every evaluation interval, one after the other."""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import requests

from bridge.authoring.unit_tests import remote_write
from bridge.authoring.unit_tests.alerting import SERIES, AlertingRule, LabelSet, PrometheusAlert, alerting_rules
from bridge.authoring.unit_tests.remote_write import Series
from bridge.authoring.unit_tests.series_notation import STALE
from bridge.domain.errors import BridgeError
from bridge.domain.rule import Group, RecordingRule, Rule
from bridge.domain.times import Timestamp, format_duration
from bridge.engine.evaluation.expansion import Expander, External
from bridge.net.session import call
from bridge.templates import values
from bridge.templates.errors import CallError

_MOST = 1 << 26  # bytes
_ANY_NAME = "__name__"


class Recorder:
    """Writes the results of recording rules, and the series of alerting ones, into the Prometheus at `url`.

    begins: time 0 of the test. alerts: names of the alerting rules that are evaluated, None = all.
    instants: at which `unmapped` keeps the firing alerts of series without a model: instant -> rule -> alerts.
    """

    def __init__(
        self, session: requests.Session, url: str, groups: Iterable[Group], begins: Timestamp,
        external: External | None = None, alerts: Container[str] | None = frozenset(), instants: Container[int] = (),
    ) -> None:  # fmt: skip
        self._session = session
        self._url = url
        self._begins = begins
        self._rules = [rule for group in groups for rule in _rules(group, alerts)]
        self._expander = Expander(external or External(), self._samples)
        self._instants = instants
        self.unmapped: dict[Timestamp, list[tuple[Rule, PrometheusAlert]]] = {}
        self._before: list[set[LabelSet]] = [set() for _ in self._rules]
        self._unwritten: list[Series] = []
        self._unwritten_names: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._rules)

    def evaluate(self, at: Timestamp) -> None:
        """Evaluate every rule at an instant. Raises BridgeError."""
        for index, rule in enumerate(self._rules):
            if self._reads_unwritten(rule):
                self._write()
            samples = self._evaluated(rule, at)
            gone = self._before[index] - samples.keys()
            self._before[index] = set(samples)
            series = [*samples.items(), *((labels, STALE) for labels in sorted(gone))]
            self._unwritten += [(dict(labels), [(at, value)]) for labels, value in series]
            self._unwritten_names |= _written(rule) if series else set()
        self._write()
        if at in self._instants:
            alerting = [rule for rule in self._rules if isinstance(rule, AlertingRule)]
            self.unmapped[at] = [(rule.rule, replace(alert)) for rule in alerting for alert in rule.unmapped()]

    def _evaluated(self, rule: RecordingRule | AlertingRule, at: Timestamp) -> dict[LabelSet, float]:
        if isinstance(rule, RecordingRule):
            return self._labelled(rule, self._query(rule, at), at)
        try:
            return rule.advance(self._query(rule, at), at, self._expander)
        except ValueError as error:
            raise self._error(rule, at, str(error)) from None

    def _samples(self, expr: str, at: Timestamp) -> list[values.Sample]:
        """Return the samples of a template's `query`. Raises CallError."""
        self._write()
        try:
            result = self._query(RecordingRule("query", expr), at)
        except BridgeError as error:
            raise CallError(str(error)) from None
        return [values.Sample(item["metric"], float(item["value"][1])) for item in result if "value" in item]

    def _reads_unwritten(self, rule: RecordingRule | AlertingRule) -> bool:
        if not self._unwritten:
            return False
        return _ANY_NAME in rule.expr or any(name in rule.expr for name in self._unwritten_names)

    def _write(self) -> None:
        if self._unwritten and (refused := remote_write.write(self._session, self._url, self._unwritten)):
            raise BridgeError(f"Prometheus refused samples of recording rules: {refused}")
        self._unwritten, self._unwritten_names = [], set()

    def _query(self, rule: RecordingRule | AlertingRule, at: Timestamp) -> Sequence[Mapping[str, Any]]:
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
    ) -> dict[LabelSet, float]:
        found: dict[LabelSet, float] = {}
        for item in result:
            if "value" not in item:
                raise self._error(rule, at, "the result is a native histogram, which cannot be recorded here")
            labels = {**item["metric"], **rule.labels, _ANY_NAME: rule.name}
            key = frozenset((name, text) for name, text in labels.items() if text)
            if key in found:
                raise self._error(rule, at, "vector contains metrics with the same labelset after applying rule labels")
            found[key] = float(item["value"][1])
        return found

    def _error(self, rule: RecordingRule | AlertingRule, at: Timestamp, reason: str) -> BridgeError:
        when = format_duration(at - self._begins)
        name = f"recording rule {rule.name}" if isinstance(rule, RecordingRule) else f"rule {rule.rule.alertname}"
        return BridgeError(f"{name} was not evaluated at {when}: {reason}")


def _rules(group: Group, alerts: Container[str] | None) -> list[RecordingRule | AlertingRule]:
    """Return the rules of a group in the order of its file."""
    alerting = [rule for rule in alerting_rules(group) if alerts is None or rule.rule.alertname in alerts]
    return sorted([*group.recordings, *alerting], key=lambda rule: rule.line)


def _written(rule: RecordingRule | AlertingRule) -> set[str]:
    return {rule.name} if isinstance(rule, RecordingRule) else set(SERIES)
