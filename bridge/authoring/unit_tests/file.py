"""Unit-test files of promtool, with expected requests and decisions; every mistake is noted with its line."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bridge.authoring.unit_tests import histogram_notation, series_notation
from bridge.config.labels import LabelsModel
from bridge.domain.errors import ConfigError, Problem
from bridge.domain.request import HoldReason, Outcome, RequestState
from bridge.domain.times import MINUTE, Duration, parse_rfc3339
from bridge.files.validation import LONGEST, DurationField, LongDurationField, Section, fixed, salvaged
from bridge.files.yaml import Document, KeyPath, read


def _instant(value: object) -> int:
    """Seconds since the epoch, or RFC 3339, as ms."""
    try:
        found = _milliseconds(value)
    except (ValueError, OverflowError):
        found = -1
    if not 0 <= found <= LONGEST:
        raise ValueError("must be seconds since 1970, or an instant such as 2026-01-31T00:00:00Z")
    return found


def _milliseconds(value: object) -> int:
    if isinstance(value, str) and not value.isdigit():
        return parse_rfc3339(value)
    return -1 if isinstance(value, bool) or not isinstance(value, str | int | float) else round(float(value) * 1000)


Instant = Annotated[int, BeforeValidator(_instant)]


class ExpectedAlert(Section):
    """An alert that fires; all its labels but `alertname`."""

    exp_labels: Mapping[str, str] = Field(default_factory=dict)
    exp_annotations: Mapping[str, str] | None = None


class AlertTest(Section):
    """`alert_rule_test`: the firing alerts of a rule at an instant."""

    elsewhere = fixed(ignore_annotations="promtool has no such key; a retrain rule's annotations may be left out")
    may_be_empty = frozenset({"eval_time", "exp_alerts"})
    eval_time: LongDurationField = 0
    alertname: str
    exp_alerts: tuple[ExpectedAlert, ...] = ()


class ExpectedSample(Section):
    """A sample of a query's answer. histogram: a native one, "" = the value."""

    may_be_empty = frozenset({"labels", "value", "histogram"})
    labels: str = "{}"
    value: float | str = 0.0
    histogram: str = ""


class ExprTest(Section):
    """`promql_expr_test`: the answer of a query at an instant."""

    may_be_empty = frozenset({"eval_time", "exp_samples"})
    expr: str
    eval_time: LongDurationField = 0
    exp_samples: tuple[ExpectedSample, ...] = ()


class ExpectedRequest(Section):
    """A request; keys that are not given may be anything. triggered_at: since the start. reason: a part of it.

    exp_labels: some of its labels.
    """

    project: str | None = None
    pipeline: str | None = None
    version: str | None = None
    rule: str | None = None
    triggered_at: DurationField | None = None
    attempt: int | None = None
    reason: str | None = None
    state: RequestState | None = None
    hold: HoldReason | None = None
    exp_labels: Mapping[str, str] | None = None


class ExpectedDecision(Section):
    """A decision of the slot; keys that are not given may be anything. reason: a part of it."""

    project: str | None = None
    pipeline: str | None = None
    version: str | None = None
    rule: str | None = None
    outcome: Outcome | None = None
    reason: str | None = None


class RetrainTest(Section):
    """`retrain_rule_test`: all requests up to an instant, and all decisions of its slot. rule: only of this one."""

    eval_time: LongDurationField
    rule: str | None = None
    exp_requests: tuple[ExpectedRequest, ...] | None = None
    exp_decisions: tuple[ExpectedDecision, ...] | None = None


class InputSeries(Section):
    """A series: a sample for each interval."""

    series: str
    values: str


class TestSection(Section):
    """One test. interval: 0 as the file's evaluation_interval. start_timestamp: of time 0, ms since the epoch."""

    may_be_empty = frozenset(
        {
            "name", "interval", "start_timestamp", "input_series", "alert_rule_test", "promql_expr_test",
            "retrain_rule_test", "external_labels", "external_url",
        }
    )  # fmt: skip
    name: str = ""
    interval: DurationField = 0
    start_timestamp: Instant = 0
    input_series: tuple[InputSeries, ...] = ()
    alert_rule_test: tuple[AlertTest, ...] = ()
    promql_expr_test: tuple[ExprTest, ...] = ()
    retrain_rule_test: tuple[RetrainTest, ...] = ()
    external_labels: Mapping[str, str] = Field(default_factory=dict)
    external_url: str = ""

    @property
    def last(self) -> Duration:
        """The last instant that an expectation refers to."""
        times = [item.eval_time for item in self.alert_rule_test]
        times += [item.eval_time for item in self.promql_expr_test]
        times += [item.eval_time for item in self.retrain_rule_test]
        return max(times, default=0)


class ModelsSection(Section):
    """`models: {labels: {version: instance}}`, as in bridge.yml."""

    labels: LabelsModel = LabelsModel()


class FileSection(Section):
    """The whole file. models: label mapping of groups that set none, as in bridge.yml; not in promtool's files."""

    may_be_empty = frozenset({"rule_files", "evaluation_interval", "group_eval_order", "fuzzy_compare", "tests"})
    models: ModelsSection = ModelsSection()
    rule_files: tuple[str, ...] = ()
    evaluation_interval: DurationField = MINUTE
    group_eval_order: tuple[str, ...] = ()
    fuzzy_compare: bool = False
    tests: tuple[TestSection, ...] = ()


@dataclass(frozen=True, slots=True)
class UnitTestFile:
    """A checked file. rule_files: found. lines: where each test begins, and each of its expectations."""

    path: Path
    section: FileSection
    rule_files: tuple[Path, ...]
    document: Document

    def line(self, *path: str | int) -> int:
        """Return the line number of a key."""
        return self.document.line(path)

    def interval(self, test: TestSection) -> Duration:
        """Return the time between two samples of a test, in ms."""
        return test.interval or self.evaluation_interval

    @property
    def evaluation_interval(self) -> Duration:
        """Between two evaluations of the rules."""
        return self.section.evaluation_interval or MINUTE


def read_unit_test_file(path: Path) -> UnitTestFile:
    """Read it. Raises ConfigError with every mistake."""
    document = read(path, lenient=True)
    section = salvaged(FileSection, document.value, document, ())
    files: list[Path] = []
    if section is not None:
        for number, pattern in enumerate(section.rule_files):
            found = sorted(glob.glob(pattern, root_dir=path.parent, recursive=True))  # noqa: PTH207 - may be absolute
            if not found:
                document.add(("rule_files", number), f"no file matches {pattern!r}", f"looked in {path.parent}")
            files += [path.parent / name for name in found]
    _check_texts(document)
    if document.problems or section is None:
        raise ConfigError(document.problems)
    _check_sense(section, document)
    return UnitTestFile(path, section, tuple(dict.fromkeys(files)), document)


def read_unit_test_files(paths: Iterable[Path]) -> list[UnitTestFile]:
    """Read them all. Raises ConfigError with every mistake of all of them."""
    found: list[UnitTestFile] = []
    problems: list[Problem] = []
    for path in dict.fromkeys(paths):
        try:
            found.append(read_unit_test_file(path))
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)
    return found


def _check_texts(document: Document) -> None:
    """Series, values and numbers in texts; of what is there, whatever else is wrong."""
    for number, test in _entries(document.value, "tests"):
        seen: dict[frozenset[tuple[str, str]], int] = {}
        for at, series in _entries(test, "input_series"):
            where: KeyPath = ("tests", number, "input_series", at)
            labels = _try(series_notation.labels, series.get("series"), document, (*where, "series"))
            _try(series_notation.values, series.get("values"), document, (*where, "values"))
            if labels is not None and (first := seen.setdefault(frozenset(labels.items()), at)) != at:
                document.add((*where, "series"), f"is the series of input_series[{first}] again", "give it once")
        for at, asked in _entries(test, "promql_expr_test"):
            for one, sample in _entries(asked, "exp_samples"):
                where = ("tests", number, "promql_expr_test", at, "exp_samples", one)
                _try(series_notation.labels_or_none, sample.get("labels"), document, (*where, "labels"))
                _try(float, sample.get("value"), document, (*where, "value"))
                _try(histogram_notation.parse, sample.get("histogram"), document, (*where, "histogram"))


def _check_sense(section: FileSection, document: Document) -> None:
    for number, test in enumerate(section.tests):
        for at, retrain in enumerate(test.retrain_rule_test):
            if retrain.exp_requests is None and retrain.exp_decisions is None:
                path = ("tests", number, "retrain_rule_test", at)
                document.add(path, "expects nothing", "give exp_requests or exp_decisions")
    if document.problems:
        raise ConfigError(document.problems)


def _entries(holder: object, key: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the mappings in a list of a mapping, with their indexes."""
    found = holder.get(key) if isinstance(holder, dict) else None
    for path, item in enumerate(found if isinstance(found, list) else ()):
        if isinstance(item, dict):
            yield path, item


def _try(read_: Any, value: Any, document: Document, path: KeyPath) -> Any:
    if not isinstance(value, str):
        return None  # told by its type, or a number
    try:
        return read_(value)
    except ValueError as error:
        document.add(path, str(error))
    return None
