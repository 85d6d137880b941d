"""Runs unit-test files: samples go into a fresh Prometheus, rules through the live engine, and both are compared with
what was expected.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import requests

from bridge.authoring.unit_tests import promql, remote_write, series_notation
from bridge.authoring.unit_tests.alerting import SERIES
from bridge.authoring.unit_tests.case import RuleTestRun
from bridge.authoring.unit_tests.diff import Failure
from bridge.authoring.unit_tests.file import TestSection, UnitTestFile
from bridge.authoring.unit_tests.order import as_evaluated
from bridge.authoring.unit_tests.recordings import Recorder
from bridge.authoring.unit_tests.remote_write import Series
from bridge.authoring.unit_tests.temporary_prometheus import throwaway_prometheus
from bridge.config.load import load_rules
from bridge.domain.errors import BridgeError, ConfigError, Problem
from bridge.domain.regex import Regex
from bridge.domain.rule import Group, ModelLabels
from bridge.domain.times import HOUR, Duration, Timestamp
from bridge.engine.evaluation.expansion import External
from bridge.net.http_config import HttpConfig
from bridge.net.session import open_session

_PIECE = HOUR // 2  # Prometheus accepts samples of all series up to an hour old


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test.

    error: it could not be run. notes: what differs from the live bridge, and skipped series.
    """

    file: Path
    name: str
    failures: tuple[Failure, ...]
    error: str = ""
    notes: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """True without a failure and an error."""
        return not self.failures and not self.error


def run(
    files: Sequence[UnitTestFile], binary: str, wanted: Regex | None = None, models: ModelLabels | None = None
) -> Generator[Outcome, None, None]:
    """Run every test whose name `wanted` matches, in order, each with a Prometheus of its own.

    models: label mapping of the bridge, None = the default; a file's own `models` come first.
    Raises PrometheusNotFoundError, and ConfigError for a wrong rule file.
    """
    groups = _groups(files, models or ModelLabels())
    with open_session(HttpConfig(), Path()) as session:
        for file in files:
            for number, test in enumerate(file.section.tests):
                name = test.name or f"test {number + 1}"
                if wanted is None or wanted.matches(name):
                    with throwaway_prometheus(binary, session) as url:
                        yield _run_one(file, number, name, groups[file.path], session, url)


def _groups(files: Sequence[UnitTestFile], models: ModelLabels) -> dict[Path, tuple[Group, ...]]:
    """Return the groups of each test file. Raises ConfigError with every problem, once."""
    found: dict[Path, tuple[Group, ...]] = {}
    problems: dict[Problem, None] = {}
    for file in files:
        try:
            groups = load_rules(
                file.rule_files,
                interval=file.evaluation_interval,
                offset=0,
                models=file.section.models.labels.over(models),
            )
            order = {name: index for index, name in enumerate(file.section.group_eval_order)}
            found[file.path] = tuple(sorted(groups, key=lambda group: order.get(group.name, 0)))
        except ConfigError as error:
            problems |= dict.fromkeys(error.problems)
    if problems:
        raise ConfigError([*problems])
    return found


def _run_one(
    file: UnitTestFile, number: int, name: str, groups: tuple[Group, ...], session: requests.Session, url: str
) -> Outcome:
    test = file.section.tests[number]
    try:
        begins, every = test.start_timestamp, file.evaluation_interval
        asked = {alert.alertname for alert in test.alert_rule_test}
        instants = {begins + alert.eval_time // every * every for alert in test.alert_rule_test}
        external = External(test.external_labels, test.external_url)
        names = None if _read_alerts(test, groups) else asked
        recorder = Recorder(session, url, groups, begins, external, names, instants)
        _write(session, url, test, file.interval(test), recorder, every)
        rules = RuleTestRun(file, number, as_evaluated(groups), url, recorder.unmapped)
        failures = [*rules.failures(), *promql.failures(file, number, session, url)]
    except (BridgeError, OSError) as error:
        return Outcome(file.path, name, (), str(error))
    return Outcome(
        file.path, name, tuple(sorted(failures, key=lambda failure: failure.line)), notes=tuple(sorted(rules.notes))
    )


def _read_alerts(test: TestSection, groups: Sequence[Group]) -> bool:
    """Return whether anything reads the series that alerting rules write."""
    texts = [asked.expr for asked in test.promql_expr_test]
    for group in groups:
        texts += [rule.expr for rule in group.recordings]
        texts += [expr for query in group.queries.values() for expr in query.exprs.values()]
        texts += [text for rule in group.rules for text in (*rule.labels.values(), *rule.annotations.values())]
    return any(SERIES[0] in text or "__name__" in text for text in texts)


def _write(
    session: requests.Session, url: str, test: TestSection, interval: Duration, recorder: Recorder, every: Duration
) -> None:
    """Write all samples, and what recording rules make of them, every `every` ms.

    In pieces of time, since Prometheus accepts no sample that is much older than its newest.
    """
    series = [(series_notation.labels(item.series), series_notation.values(item.values)) for item in test.input_series]
    length = max((len(values) for _, values in series), default=0)
    step = max(1, _PIECE // interval)
    record_at, begins = test.start_timestamp, test.start_timestamp
    for first in range(0, length, step):
        piece: list[Series] = []
        for labels, values in series:
            points = [
                (begins + (first + index) * interval, value)
                for index, value in enumerate(values[first : first + step])
                if value is not None
            ]
            piece += [(labels, points)] if points else []
        if piece and (refused := remote_write.write(session, url, piece)):
            raise BridgeError(f"Prometheus refused samples of the test: {refused}")
        until = begins + min(first + step, length) * interval
        record_at = _record(recorder, range(record_at, min(until, begins + test.last + 1), every))
    _record(recorder, range(record_at, begins + test.last + 1, every))


def _record(recorder: Recorder, instants: range) -> Timestamp:
    """Evaluate the recording rules at the instants; return the next one."""
    if recorder:
        for at in instants:
            recorder.evaluate(at)
    return instants.start + len(instants) * instants.step
