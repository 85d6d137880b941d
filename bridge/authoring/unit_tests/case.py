"""Run of one test: the rules are evaluated over its time, and compared with each expectation at its instant."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

from bridge.authoring.unit_tests.alerting import PrometheusAlert
from bridge.authoring.unit_tests.diff import Failure, difference, matched
from bridge.authoring.unit_tests.file import AlertTest, RetrainTest, UnitTestFile
from bridge.authoring.unit_tests.shifted import ShiftedSource
from bridge.domain.model import ModelTable
from bridge.domain.request import Decision, RequestRecord
from bridge.domain.rule import Group, Rule, RuleKind
from bridge.domain.times import DAY, Duration, Timestamp, format_duration, parse_rfc3339, rfc3339
from bridge.domain.wording import near
from bridge.engine.api.queries import rule_views
from bridge.engine.evaluation.expansion import External
from bridge.engine.replay.replay import NoDestinations, Replay
from bridge.ports import TickChanges
from bridge.sources.config import PrometheusConfig
from bridge.sources.prometheus import PrometheusSource

# Instant 0 means "never" to the engine, so a test that begins there is evaluated by a clock that runs ahead: by a
# whole cycle of the calendar, so that weekdays and month ends stay what they are.
AHEAD: Duration = 28 * 365 * DAY + 7 * DAY
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z")

Look = Callable[[Replay], Iterator[Failure]]


class RuleTestRun:
    """Test `number` of a file, whose samples the Prometheus at `url` has.

    unmapped: instant -> firing alerts of series without a model, which the bridge skips and Prometheus has.
    notes: what differs from the live bridge.
    """

    def __init__(
        self, file: UnitTestFile, number: int, groups: tuple[Group, ...], url: str,
        unmapped: Mapping[Timestamp, Sequence[tuple[Rule, PrometheusAlert]]] = MappingProxyType({}),
    ) -> None:  # fmt: skip
        self._unmapped = unmapped
        self.notes: set[str] = set()
        self._file = file
        self._path = ("tests", number)
        self._test = file.section.tests[number]
        self._url = url
        self._ahead = 0 if self._test.start_timestamp else AHEAD
        self._begins = self._test.start_timestamp + self._ahead
        self._groups = tuple(replace(group, fixed_phase=self._begins % group.interval) for group in groups)
        self._requests: dict[str, RequestRecord] = {}
        self._decisions: list[Decision] = []

    def failures(self) -> Iterator[Failure]:
        """Yield every unmet expectation. Raises BridgeError when the test could not be run."""
        table = ModelTable()
        source = PrometheusSource(PrometheusConfig(url=self._url), table, Path())
        routing = NoDestinations(external_labels=self._test.external_labels)
        external = External(self._test.external_labels, self._test.external_url, self._ahead)
        replay = Replay(
            ShiftedSource(source, self._ahead), table, self._groups, self._take, routing=routing, external=external
        )
        problems: dict[tuple[str, str], list[Timestamp]] = {}
        failed = False
        try:
            since, end = self._begins, self._begins + self._test.last
            for at, look in sorted(self._looks(), key=lambda item: item[0]):
                for evaluation in replay.walk(since, self._begins + at, end=end):
                    for problem in evaluation.report.errors.items():
                        problems.setdefault(problem, []).append(evaluation.report.slot)
                since = max(since, self._begins + at + 1)
                for failure in look(replay):
                    failed = True
                    yield failure
        finally:
            replay.close()
            source.close()
        if failed:
            self._note_lacking(source.lacking)
        yield from self._unevaluated(problems)

    def _take(self, changes: TickChanges) -> None:
        self._requests.update({record.id: record for record in changes.requests})
        self._decisions += changes.decisions

    def _looks(self) -> Iterator[tuple[Duration, Look]]:
        """Yield each instant with expectations, and the function that compares them."""
        for index, alert in enumerate(self._test.alert_rule_test):
            line = self._file.line(*self._path, "alert_rule_test", index)
            yield alert.eval_time, partial(self._alerts, alert, line)
        for index, retrain in enumerate(self._test.retrain_rule_test):
            line = self._file.line(*self._path, "retrain_rule_test", index)
            yield retrain.eval_time, partial(self._retrains, retrain, line)

    def _note_lacking(self, lacking: Iterable[tuple[str, str]]) -> None:
        """Note which labels the skipped series must have. lacking: signals, and labels that some series lacked."""
        queries = {query.name: query for group in self._groups for query in group.queries.values()}
        self.notes |= {
            f"series of {name} without the label {label} were skipped; models are read from the labels"
            f" {queries[name].mapping.described()} (to change that, set models or --config.file)"
            for name, label in lacking
        }

    def _unevaluated(self, problems: Mapping[tuple[str, str], list[Timestamp]]) -> Iterator[Failure]:
        """Yield each problem once, with the number of its repetitions."""
        for (rule, problem), slots in problems.items():
            first, more = format_duration(slots[0] - self._begins), len(slots) - 1
            when = f"at {first}" + (f" and {more} more times" if more else "")
            yield Failure(self._file.line(*self._path), f"{when} rule {rule} was not evaluated: {problem}")

    # ------------------------------------------------------------ what is compared

    def _alerts(self, expected: AlertTest, line: int, replay: Replay) -> Iterator[Failure]:
        name = expected.alertname
        if unknown := self._unknown(name):
            yield Failure(line, unknown)
            return
        got = [
            {"labels": _without_name(alert.labels), "annotations": dict(alert.annotations)}
            for view in rule_views(replay.engine)
            if view.alertname == name
            for alert in view.alerts
            if alert.state == "firing"
        ]
        got += self._of_prometheus(name, expected.eval_time)
        whole = any(rule.alertname == name and rule.kind is RuleKind.ALERT for rule in self._rules())
        wanted = [
            {"labels": dict(item.exp_labels),
             **({"annotations": dict(item.exp_annotations or {})} if whole or item.exp_annotations is not None else {})}
            for item in expected.exp_alerts
        ]  # fmt: skip
        for item in got:
            if not any(one["labels"] == item["labels"] and "annotations" in one for one in wanted):
                item.pop("annotations")
        yield from difference(f"alerts of {name} at {format_duration(expected.eval_time)}", wanted, got, line)

    def _of_prometheus(self, name: str, at: Duration) -> Iterator[dict[str, dict[str, str]]]:
        """Yield the alerts that only Prometheus has, because their series belong to no model."""
        every = self._file.evaluation_interval
        for rule, alert in self._unmapped.get(self._test.start_timestamp + at // every * every, ()):
            if rule.alertname == name:
                self.notes.add(
                    f"the series of {name} are of no model, so the bridge skips them live; "
                    "map their labels with models or --config.file"
                )
                yield {"labels": _without_name(alert.labels), "annotations": dict(alert.annotations)}

    def _retrains(self, expected: RetrainTest, line: int, _: Replay) -> Iterator[Failure]:
        named = [expected.rule, *(item.rule for item in expected.exp_requests or ())]
        named += [item.rule for item in expected.exp_decisions or ()]
        if unknown := next(filter(None, map(self._unknown, named)), ""):
            yield Failure(line, unknown)
            return
        if expected.exp_requests is not None:
            yield from self._compare_requests(expected, line)
        if expected.exp_decisions is not None:
            yield from self._compare_decisions(expected, line)

    def _compare_requests(self, expected: RetrainTest, line: int) -> Iterator[Failure]:
        wanted, at = expected.exp_requests or (), self._begins + expected.eval_time
        labelled = any(item.exp_labels is not None for item in wanted)
        got = [
            self._request(item, labelled=labelled)
            for item in self._requests.values()
            if item.request.triggered_at <= at and expected.rule in {None, item.request.rule}
        ]
        yield from matched(f"requests up to {format_duration(expected.eval_time)}", wanted, got, line)

    def _compare_decisions(self, expected: RetrainTest, line: int) -> Iterator[Failure]:
        when, at = format_duration(expected.eval_time), self._begins + expected.eval_time
        if no_slot := self._no_slot(expected.rule, at):
            yield Failure(line, f"no rule is evaluated at {when}: {no_slot}")
            return
        got = [
            {**(item.model.labels() if item.model else {}), "rule": item.rule, "outcome": item.outcome.value,
             "reason": self._told(item.reason)}
            for item in self._decisions
            if item.slot == at and expected.rule in {None, item.rule}
        ]  # fmt: skip
        yield from matched(f"decisions at {when}", expected.exp_decisions or (), got, line)

    def _request(self, record: RequestRecord, *, labelled: bool) -> dict[str, object]:
        request = record.request
        return {
            **request.model.labels(), "rule": request.rule, "attempt": request.attempt, "state": record.state.value,
            "triggered_at": format_duration(request.triggered_at - self._begins),
            "reason": self._told(request.reason),
            **({"hold": record.hold.value} if record.hold else {}),
            **({"exp_labels": dict(request.labels)} if labelled else {}),
        }  # fmt: skip

    def _told(self, text: str) -> str:
        """Return the text with instants of the test's own clock."""
        return _INSTANT.sub(lambda found: rfc3339(parse_rfc3339(found[0]) - self._ahead), text) if self._ahead else text

    def _rules(self) -> Iterator[Rule]:
        for group in self._groups:
            yield from group.rules

    def _unknown(self, rule: str | None) -> str:
        names = {name for item in self._rules() for name in (item.name, item.alertname)}
        if rule is None or rule in names:
            return ""
        hint = near(rule, names)
        return f"there is no rule {rule!r} in the rule files" + (f" ({hint})" if hint else "")

    def _no_slot(self, rule: str | None, at: Timestamp) -> str:
        """Why nothing can be decided at that instant; "" when something can."""
        groups = [group for group in self._groups if rule is None or any(item.name == rule for item in group.rules)]
        if any(group.slot_at(at) == at for group in groups):
            return ""
        return ", ".join(_pace(groups)) or "there are no groups"


def _pace(groups: Iterable[Group]) -> Iterator[str]:
    for group in groups:
        yield f"group {group.name} is every {format_duration(group.interval)}"


def _without_name(labels: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "alertname"}
