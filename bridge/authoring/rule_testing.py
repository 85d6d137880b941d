"""Runs unit-test files: samples go into a fresh Prometheus, rules through the live engine, and both are compared with
what was expected.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

from bridge.authoring import remote_write, series_notation
from bridge.authoring.comparing import Failure, difference, matched
from bridge.authoring.remote_write import Series
from bridge.authoring.throwaway import throwaway_prometheus
from bridge.authoring.unit_test_file import (
    AlertTest,
    ExprTest,
    RetrainTest,
    TestSection,
    UnitTestFile,
)
from bridge.config.load import load_rules
from bridge.domain.errors import BridgeError
from bridge.domain.model import ModelTable
from bridge.domain.request import Decision, RequestRecord
from bridge.domain.rule import Group
from bridge.domain.times import DAY, HOUR, Duration, Timestamp, format_duration
from bridge.engine.queries import rule_views
from bridge.engine.replay import NoDestinations, Replay
from bridge.net.http_config import HttpConfig
from bridge.net.session import call, open_session
from bridge.ports import TickChanges
from bridge.sources.config import PrometheusConfig
from bridge.sources.prometheus import PrometheusSource

WEEK = 7 * DAY
START: Timestamp = 2600 * WEEK  # a Thursday, 00:00 UTC, as promtool's own beginning of time
_PIECE = HOUR // 2  # Prometheus takes samples of all series up to an hour old


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test. error: it could not be run."""

    file: Path
    name: str
    failures: tuple[Failure, ...]
    error: str = ""

    @property
    def passed(self) -> bool:
        return not self.failures and not self.error


def run(files: Sequence[UnitTestFile], binary: str, wanted: re.Pattern[str] | None = None) -> Iterator[Outcome]:
    """Every test of the files whose name `wanted` finds, in order.

    One Prometheus for all, each test in weeks of its own. Raises NoPrometheus, and ConfigError for a wrong rule file.
    """
    groups = {file.path: _groups(file) for file in files}
    with throwaway_prometheus(binary) as url:
        begins = START
        for file in files:
            for number, test in enumerate(file.section.tests):
                name = test.name or f"test {number + 1}"
                if wanted is None or wanted.search(name):
                    yield _run_one(file, number, name, groups[file.path], url, begins)
                begins += -(-(_length(test) + DAY) // WEEK) * WEEK


def _groups(file: UnitTestFile) -> tuple[Group, ...]:
    groups = load_rules(file.rule_files, interval=file.section.evaluation_interval, offset=0)
    return tuple(replace(group, fixed_phase=0) for group in groups)


def _length(test: TestSection) -> Duration:
    longest = max((len(series_notation.values(item.values)) for item in test.input_series), default=0)
    return max(test.last, longest * test.interval)


def _run_one(
    file: UnitTestFile, number: int, name: str, groups: tuple[Group, ...], url: str, begins: Timestamp
) -> Outcome:
    test = file.section.tests[number]
    try:
        _write(url, test, begins)
        run_ = _Run(file, number, test, groups, url, begins)
        failures = tuple(sorted(run_.failures(), key=lambda failure: failure.line))
    except (BridgeError, OSError) as error:
        return Outcome(file.path, name, (), str(error))
    return Outcome(file.path, name, failures)


def _write(url: str, test: TestSection, begins: Timestamp) -> None:
    """All samples, in pieces of time, since Prometheus takes no sample that is much older than its newest."""
    series = [(series_notation.labels(item.series), series_notation.values(item.values)) for item in test.input_series]
    length = max((len(values) for _, values in series), default=0)
    step = max(1, _PIECE // test.interval)
    for first in range(0, length, step):
        piece: list[Series] = []
        for labels, values in series:
            part = values[first : first + step]
            points = [
                (begins + (first + place) * test.interval, value)
                for place, value in enumerate(part)
                if value is not None
            ]
            piece += [(labels, points)] if points else []
        if piece and (refused := remote_write.write(url, piece)):
            raise BridgeError(f"Prometheus refused samples of the test: {refused}")


class _Run:
    """One test at work."""

    def __init__(
        self, file: UnitTestFile, number: int, test: TestSection, groups: tuple[Group, ...], url: str, begins: Timestamp
    ) -> None:
        self._file = file
        self._place = ("tests", number)
        self._test = test
        self._groups = groups
        self._url = url
        self._begins = begins
        self._requests: dict[str, RequestRecord] = {}
        self._decisions: list[Decision] = []

    def failures(self) -> Iterator[Failure]:
        """Walk through time, and look whenever something is expected."""
        looks = sorted([*self._looks()], key=lambda item: item[0])
        table = ModelTable()
        source = PrometheusSource(PrometheusConfig(url=self._url), table, Path())
        try:
            routing = NoDestinations(external_labels=self._test.external_labels)
            replay = Replay(source, table, self._groups, self._take, routing=routing)
            since, end = self._begins, self._begins + self._test.last
            for at, look in looks:
                yield from self._walk(replay, since, self._begins + at, end)
                since = max(since, self._begins + at + 1)
                yield from look(replay)
        finally:
            source.close()
        for place, asked in enumerate(self._test.promql_expr_test):
            yield from self._answer(asked, self._file.line(*self._place, "promql_expr_test", place))

    def _looks(self) -> Iterator[tuple[Duration, Callable[[Replay], Iterator[Failure]]]]:
        """When something is expected of the rules, and what compares it."""
        for place, alert in enumerate(self._test.alert_rule_test):
            line = self._file.line(*self._place, "alert_rule_test", place)
            yield alert.eval_time, partial(self._alerts, alert, line)
        for place, retrain in enumerate(self._test.retrain_rule_test):
            line = self._file.line(*self._place, "retrain_rule_test", place)
            yield retrain.eval_time, partial(self._retrains, retrain, line)

    def _walk(self, replay: Replay, since: Timestamp, until: Timestamp, end: Timestamp) -> Iterator[Failure]:
        for report in replay.walk(since, until, end=end):
            for rule, problem in report.errors.items():
                when = format_duration(report.slot - self._begins)
                yield Failure(self._file.line(*self._place), f"at {when} rule {rule} was not evaluated: {problem}")

    def _take(self, changes: TickChanges) -> None:
        self._requests.update({record.id: record for record in changes.requests})
        self._decisions += changes.decisions

    # ------------------------------------------------------------ what is compared

    def _alerts(self, expected: AlertTest, line: int, replay: Replay) -> Iterator[Failure]:
        name = expected.alertname
        views = [view for view in rule_views(replay.engine) if view.name == name]
        if not views:
            yield Failure(line, f"there is no rule {name!r} in the rule files")
            return
        got = [
            {"labels": _without_name(alert.labels), "annotations": dict(alert.annotations)}
            for view in views
            for alert in view.alerts
            if alert.state == "firing"
        ]
        wanted = [
            {"labels": dict(item.exp_labels),
             **({} if item.exp_annotations is None else {"annotations": dict(item.exp_annotations)})}
            for item in expected.exp_alerts
        ]  # fmt: skip
        for item in got:
            if not any(one["labels"] == item["labels"] and "annotations" in one for one in wanted):
                item.pop("annotations")
        yield from difference(f"alerts of {name} at {format_duration(expected.eval_time)}", wanted, got, line)

    def _retrains(self, expected: RetrainTest, line: int, _: Replay) -> Iterator[Failure]:
        at, when = self._begins + expected.eval_time, format_duration(expected.eval_time)
        if expected.exp_requests is not None:
            records = [record for record in self._requests.values() if record.request.triggered_at <= at]
            got = [self._request(item) for item in records if expected.rule in {None, item.request.rule}]
            yield from matched(f"requests up to {when}", expected.exp_requests, got, line)
        if expected.exp_decisions is not None:
            told = [item for item in self._decisions if item.slot == at and expected.rule in {None, item.rule}]
            shown = [
                {**(item.model.labels() if item.model else {}), "rule": item.rule, "outcome": item.outcome.value,
                 "reason": item.reason}
                for item in told
            ]  # fmt: skip
            yield from matched(f"decisions at {when}", expected.exp_decisions, shown, line)

    def _request(self, record: RequestRecord) -> dict[str, object]:
        request = record.request
        return {
            **request.model.labels(), "rule": request.rule, "attempt": request.attempt, "state": record.state.value,
            "triggered_at": format_duration(request.triggered_at - self._begins), "reason": request.reason,
            **({"hold": record.hold.value} if record.hold else {}),
        }  # fmt: skip

    def _answer(self, asked: ExprTest, line: int) -> Iterator[Failure]:
        form = urlencode({"query": asked.expr, "time": f"{(self._begins + asked.eval_time) / 1000:.3f}"})
        with open_session(HttpConfig(), Path()) as session:
            answer = call(session, "GET", f"{self._url}/api/v1/query?{form}", deadline=30.0, max_bytes=1 << 26)
        body = json.loads(answer.body)
        if body["status"] != "success":
            yield Failure(line, f"{asked.expr}: {body.get('error', 'refused')}")
            return
        got = [_sample(labels, value) for labels, value in _samples(body["data"])]
        wanted = [
            _sample({} if item.labels.strip() in {"", "{}"} else series_notation.labels(item.labels), float(item.value))
            for item in asked.exp_samples
        ]
        yield from difference(f"{asked.expr} at {format_duration(asked.eval_time)}", wanted, got, line)


def _samples(data: Mapping[str, object]) -> Iterable[tuple[dict[str, str], float]]:
    result = data["result"]
    if data["resultType"] == "scalar":
        return [({}, float(result[1]))]  # type: ignore[index]
    return [(item["metric"], float(item["value"][1])) for item in result if "value" in item]  # type: ignore[attr-defined]


def _sample(labels: Mapping[str, str], value: float) -> dict[str, object]:
    return {"labels": dict(labels), "value": float(f"{value:.9g}")}


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "alertname"}
