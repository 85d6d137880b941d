"""Trial of first rules on the history of a Prometheus: discover, backtest within a time limit, and summarise."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from bridge.authoring.backtest.backtest import Backtest, Plan, of_config
from bridge.authoring.backtest.recording import ModelSeries, Recorder
from bridge.authoring.backtest.results import WEEK, BacktestRequest, Results
from bridge.authoring.suggest.first_config import FirstConfig
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import Mode, SignalQuery
from bridge.domain.times import MINUTE, SECOND, Duration, Timestamp
from bridge.ports import MetricSource
from bridge.sources.patience import Report

PROBES, ROUNDS = 48, 3  # instants at which the begin of the history is looked for
MOST_SLOTS = 3000  # of one group; a longer range is evaluated at longer intervals
_STEPS = tuple(minutes * MINUTE for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 240))


@dataclass(frozen=True, slots=True)
class Trial:
    """Results of the first rules over a range.

    url: the Prometheus, without credentials.
    step: evaluation interval of the trial.
    interval: evaluation interval of bridge.yml.
    offset: query offset of bridge.yml.
    present: number of models that have a value now, though none had one at an evaluated time; 0 if some had.
    asked_since: start of the requested range; `results.since` is later if the history begins later.
    asked_until: end of the requested range; `results.until` is earlier if the time limit ended the backtest.
    """

    url: str
    config: FirstConfig
    results: Results
    recorder: Recorder
    table: ModelTable
    step: Duration
    interval: Duration
    offset: Duration
    present: int
    asked_since: Timestamp
    asked_until: Timestamp

    @property
    def stopped(self) -> bool:
        """True if the time limit ended the backtest."""
        return self.results.until < self.asked_until

    @property
    def without_verdict(self) -> list[ModelKey]:
        """Return the models with values, but too few for a verdict of any rule."""
        early = [tally.early for tally in self.results.rules.values()]
        judged = {
            self.table[row]
            for row in range(len(self.table))
            for rule, tally in self.results.rules.items()
            if self.table[row] not in tally.early and self._line(rule, row) is not None
        }
        return sorted(set().union(*early) - judged)

    @property
    def begins(self) -> Timestamp:
        """Return the first instant with a value, 0 if there is none."""
        span = self.asked_until - self.results.since
        found = [
            self.results.since + line.first * span // len(line.low)
            for row in range(len(self.table))
            for line in self._lines(row)
        ]
        return min(found, default=0)

    def _lines(self, row: int) -> list[ModelSeries]:
        """Return the recordings of a model that have a value."""
        return [line for rule in self.results.rules if (line := self._line(rule, row)) is not None]

    def _line(self, rule: str, row: int) -> ModelSeries | None:
        line = self.recorder.line(rule, row)
        return line if line is not None and line.known else None


def run(
    config: FirstConfig, folder: Path, url: str, since: Timestamp, until: Timestamp, time_limit: float,
    progress: Callable[[Timestamp], None] = lambda _at: None, report: Report | None = None,
) -> Trial:  # fmt: skip
    """Backtest a first configuration. Raises ConfigError, SourceError, NoAnswerError and BacktestError.

    folder: where its files have been written.
    url: of the Prometheus, without credentials.
    time_limit: seconds; where they end, the results cover what was reached.
    report: notified of failed queries.
    """
    plan = _live(of_config(folder / "bridge.yml"))
    interval = max(group.interval for group in plan.groups)
    asked_since, since = since, _begin(plan, since, until, interval, report)
    step = evaluation_step(interval, until - since)
    table = ModelTable()
    with closing(plan.source(table, report)) as source:
        test = Backtest(plan.at_step(step), source, table, since, until, charts=True)
        deadline = time.monotonic() + time_limit
        results = test.run(progress, lambda: time.monotonic() > deadline)
    present = 0 if len(table) else _present(plan, until, report)
    recorder = test.recorder or Recorder(since, until, table, {})
    offset = max(group.offset for group in plan.groups)
    return Trial(url, config, results, recorder, table, step, interval, offset, present, asked_since, until)


def _begin(
    plan: Plan, since: Timestamp, until: Timestamp, interval: Duration, report: Report | None
) -> Timestamp:  # fmt: skip
    """Return an instant shortly before the first value of any query; `since` if there is none."""
    table = ModelTable()
    with closing(plan.source(table, report)) as source:
        queries = [query for group in plan.groups for query in group.queries.values()]

        def answered(at: Timestamp) -> bool:
            return any(_has_values(source, query, at) for query in queries)

        try:
            return first_value(answered, since, until, interval)
        except SourceError:
            return since


def first_value(
    answered: Callable[[Timestamp], bool], since: Timestamp, until: Timestamp, interval: Duration
) -> Timestamp:
    """Return an instant shortly before the first one with a value; `since` if none is found.

    answered: returns whether there is a value at an instant; called for at most ROUNDS * PROBES instants.
    interval: precision that is enough.
    """
    low, high, found = since, until, False
    for _ in range(ROUNDS):
        step = (high - low) // PROBES
        if step < interval:
            break
        begin = next((at for at in range(low, high + 1, step) if answered(at)), None)
        if begin == low:
            return low
        found = found or begin is not None
        low, high = max(low, (begin or high) - step), begin or high
    return low if found else since


def _has_values(source: MetricSource, query: SignalQuery, at: Timestamp) -> bool:
    """Return whether a query has a value. Raises SourceError if another instant may fail in the same way."""
    try:
        return len(source.instant(query, at, at)) > 0
    except SourceError as error:
        if error.transient:
            raise
        return False  # the backtest will report it


def _present(plan: Plan, now: Timestamp, report: Report | None) -> int:
    """Return the number of models that have a value at `now`."""
    table = ModelTable()
    with closing(plan.source(table, report)) as source:
        for query in (query for group in plan.groups for query in group.queries.values()):
            try:
                source.instant(query, now, now)
            except SourceError:
                continue  # the backtest has reported it
    return len(table)


def waiting(sent: Sequence[BacktestRequest]) -> list[BacktestRequest]:
    """Return the requests that a budget of one per week would have held when they were sent, oldest first."""
    held, last = [], -WEEK
    for item in sent:
        if item.sent_at - last < WEEK:
            held.append(item)
        else:
            last = item.sent_at
    return held


def _live(plan: Plan) -> Plan:
    """Return the plan as it acts once `dry_run` is removed."""
    return replace(
        plan,
        groups=tuple(
            replace(group, rules=tuple(replace(rule, mode=Mode.LIVE) for rule in group.rules)) for group in plan.groups
        ),
    )


def evaluation_step(interval: Duration, span: Duration) -> Duration:
    """Return the interval at which a span has at most MOST_SLOTS slots."""
    steps = [interval, *(step for step in _STEPS if step > interval)]
    return next(
        (step for step in steps if span // step <= MOST_SLOTS), max(steps[-1], span // MOST_SLOTS // SECOND * SECOND)
    )
