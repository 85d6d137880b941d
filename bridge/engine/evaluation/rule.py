"""Evaluator of one rule over all its models: columns, conditions, and the result of the last evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import (
    NO_MOVES,
    AlertRow,
    Moves,
    Positions,
    State,
    advance,
    apply_policies,
    count_breaches,
    skip_unseen,
)
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group, Mode, Rule, RuleKind, SignalQuery
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Int8, Verdicts
from bridge.engine.evaluation.alert_texts import AlertTexts, Numbers
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.conditions import (
    ConditionColumns,
    ConditionEvaluator,
    ConditionJudgement,
    ConditionResult,
    combine,
    evaluate_healthy_condition,
)
from bridge.engine.evaluation.evaluation import Evaluation
from bridge.engine.evaluation.inheritance import inherit
from bridge.engine.evaluation.judge import FirstSeen, judge
from bridge.engine.evaluation.never_judged import note, overdue, patience_of
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.registry import build

ConditionJudgements = Mapping[int, ConditionJudgement]  # by index of the condition

_NO_ROWS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Before:
    """State of a rule before a tick, beside its columns; the fields are those of RuleEvaluator and AlertTexts."""

    health: str
    last_error: str
    last_evaluation: Timestamp
    failures: int
    state_slots: dict[str, Timestamp]
    series: dict[int, Mapping[str, str]]
    expanded: dict[int, Mapping[str, str]]


@dataclass(slots=True)
class RuleEvaluator:
    """Rule with its state. `live` is committed; a tick changes `staged`, then commits or rolls back.

    health: "unknown" | "ok" | "err".
    seconds: duration of the last evaluation, its queries included.
    spent: evaluation time so far in the current tick, in seconds, without queries.
    failures: number of failed evaluations in a row.
    touched: rows that may differ from the stored ones; None = any row may.
    state_slots: name of a stored chunk -> slot for which it was written.
    logged, waiting: content that state/logged.py and state/waiting.py wrote last; None = unknown.
    behind: name of a chunk that is not caught up after a start -> last slot it includes (state/backfill.py). Its
        strategy gets no live samples until then.
    tries: name of a chunk whose history query failed -> (number of attempts, slot from which to retry).
    before: what a rollback of the tick in progress restores; None between ticks.
    """

    rule: Rule
    query: SignalQuery
    fingerprint: str
    table: ModelTable
    strategy: RetrainStrategy | None
    parts: list[ConditionEvaluator]
    texts: AlertTexts
    live: RuleColumns
    staged: RuleColumns
    health: str = "unknown"
    last_error: str = ""
    last_evaluation: Timestamp = 0
    seconds: float = 0.0
    spent: float = 0.0
    failures: int = 0
    touched: list[Positions] | None = field(default_factory=list)
    state_slots: dict[str, Timestamp] = field(default_factory=dict)
    logged: tuple[int, str, bytes, bytes] | None = None
    waiting: bytes | None = None
    behind: dict[str, Timestamp] = field(default_factory=dict)
    tries: dict[str, tuple[int, Timestamp]] = field(default_factory=dict)
    before: Before | None = None

    @staticmethod
    def of(group: Group, rule: Rule, table: ModelTable) -> RuleEvaluator:
        """Return an evaluator without state."""
        strategy = None if rule.strategy is None else build(rule.strategy)
        parts = [
            ConditionEvaluator(item, group.queries[item.query], None if item.strategy is None else build(item.strategy))
            for item in rule.conditions
        ]
        empty = RuleColumns.empty(strategy, parts)
        query = group.queries[rule.query]
        fingerprint = group.fingerprint(rule)
        return RuleEvaluator(rule, query, fingerprint, table, strategy, parts, AlertTexts.of(rule, table), empty, empty)

    @property
    def queries(self) -> dict[str, SignalQuery]:
        """Queries of everything the rule reads, by name."""
        return {part.query.name: part.query for part in self.parts} or {self.rule.query: self.query}

    @property
    def notifies(self) -> bool:
        """True for a live `alert:` rule, which notifies people and requests nothing."""
        return self.rule.kind is RuleKind.ALERT and self.rule.mode is Mode.LIVE

    def continued(self, group: Group, rule: Rule) -> RuleEvaluator:
        """Return an evaluator for an edited rule of the same fingerprint: its state is kept."""
        fresh = RuleEvaluator.of(group, rule, self.table)
        fresh.live = fresh.staged = self.live
        fresh.texts.series, fresh.texts.expanded = self.texts.series, self.texts.expanded
        fresh.state_slots, fresh.behind, fresh.tries = self.state_slots, self.behind, self.tries
        fresh.health, fresh.last_error, fresh.last_evaluation = self.health, self.last_error, self.last_evaluation
        fresh.seconds, fresh.failures, fresh.logged = self.seconds, self.failures, self.logged
        return fresh

    def restore(self, rows: list[AlertRow]) -> None:
        """Load stored alert rows of this rule and fingerprint."""
        indices = [self.table.row(row.model) for row in rows]
        self.live.grow(len(self.table), self.strategy, self.parts)
        alerts = self.live.alerts
        alerts.own()
        for index, row in zip(indices, rows, strict=True):
            alerts.state[index] = row.state
            alerts.active_at[index] = row.active_at
            alerts.fired_at[index] = row.fired_at
            alerts.keep_since[index] = row.keep_since
            alerts.recent[index] = row.recent
            self.live.known[index] = True
            self.texts.series[index] = row.model.labels()
        self.staged = self.live

    def expect(self, rows: Positions, missing: Positions | None = None) -> None:
        """Add models that a signal must report; missing: rows whose absence is already in the decision log."""
        now = self._writable()
        now.known[rows] = True
        if missing is not None:
            now.logged_cause[missing] = Cause.NO_DATA

    def leave(self, rows: Positions) -> Positions:
        """Reset models that were retired, and return the rows of those that were pending or firing."""
        now = self._writable()
        active: Positions = rows[now.alerts.state[rows] != 0]
        self._touch(rows)
        now.forget(rows)
        return active

    def begin(self) -> None:
        """Start a tick on a copy of the state."""
        self.staged, self.touched = self.live.copy(), [] if self.rule.breaches is None else None
        self.before = Before(
            self.health, self.last_error, self.last_evaluation, self.failures, dict(self.state_slots),
            dict(self.texts.series), dict(self.texts.expanded),
        )  # fmt: skip
        self.spent = 0.0

    def commit(self) -> None:
        """Make the staged state live, once it is stored."""
        self.live, self.before = self.staged, None

    def rollback(self) -> None:
        """Discard the staged state."""
        self.staged, self.logged, self.waiting = self.live, None, None
        if (before := self.before) is not None:
            self.health, self.last_error, self.failures = before.health, before.last_error, before.failures
            self.last_evaluation, self.state_slots = before.last_evaluation, before.state_slots
            self.texts.series, self.texts.expanded = before.series, before.expanded
            self.before = None

    def skip(self, gap: Duration) -> None:
        """Exclude `gap` ms that were never evaluated from `for` and `keep_firing_for`."""
        if gap:
            self.touched = None
            skip_unseen(self.staged.alerts, gap)

    def _writable(self) -> RuleColumns:
        """Return the staged columns with a row for every model, which no evaluation holds."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        self.staged.thaw()
        return self.staged

    def judge_conditions(self, batch: EventBatch, first_seen: FirstSeen) -> ConditionJudgements:
        """Judge a batch by the conditions of a composite rule on its signal. Raises StrategyError.

        first_seen: int64 (n,), per model.
        """
        judged: dict[int, ConditionJudgement] = {}
        for index, (part, columns) in enumerate(zip(self.parts, self._writable().parts, strict=True)):
            if part.query.name == batch.name and (part.strategy is not None or not part.condition.healthy):
                name = f"{self.rule.name}[{index}]"
                verdicts = self._judge(batch, part.strategy, columns, part.query, first_seen, name)
                judged[index] = part.take(columns, batch, verdicts)
        return judged

    def conclude(
        self,
        slot: Timestamp,
        judged: ConditionJudgements,
        causes: Mapping[str, Cause],
        siblings: Callable[[str], Iterable[tuple[Int8, Int8, Int8]]],
    ) -> Evaluation:
        """Count a composite rule's conditions after all its signals were judged, and advance the alert state.

        causes: signal -> why it has no response.
        siblings: function from a signal to the opinions of the group's rules on it.
        """
        now = self._writable()
        for index, (part, columns) in enumerate(zip(self.parts, now.parts, strict=True)):
            if part.condition.healthy and part.strategy is None:
                evaluate_healthy_condition(columns, siblings(part.query.name))
            elif index not in judged:
                columns.unknown(causes.get(part.query.name) or Cause.NO_DATA)
        now.code, now.cause = combine(now.parts, self.rule.at_least)
        now.value[:], now.threshold[:] = now.parts[0].value, now.parts[0].threshold
        now.statistic[:] = now.parts[0].value
        answered = not causes
        unsure = np.flatnonzero(now.known & (now.cause != now.logged_cause) & answered)
        now.logged_cause[unsure] = now.cause[unsure]
        if not self.behind:
            note(now.since, now.code, now.cause, slot)
        for judgement in judged.values():
            now.known[judgement.batch.index] = True
        first = judged.get(0)
        if first is None:
            return self._evaluation(slot, unsure, judged=judged)
        return self._evaluation(slot, unsure, first.batch, first.verdicts, judged=judged)

    def opinion(self, *, evaluated: bool) -> tuple[Int8, Int8, Int8]:
        """Return code, cause and alert state columns; the cause is BLIND if the rule was not evaluated in this slot."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        now = self.staged
        if not evaluated:
            size = len(now.code)
            return np.full(size, Code.INCONCLUSIVE, np.int8), np.full(size, Cause.BLIND, np.int8), now.alerts.state
        return now.code, now.cause, now.alerts.state

    def evaluate(self, batch: EventBatch, first_seen: FirstSeen) -> Evaluation:
        """Evaluate a batch and advance the alert state. Raises StrategyError, leaving the state unchanged."""
        now = self._writable()
        verdicts = self._judge(batch, self.strategy, now, self.query, first_seen, self.rule.name)
        index = _rows_of(batch, len(now.code))
        now.code[:], now.cause[:] = self._absent(batch)
        if self.strategy is None and batch.cause is Cause.NONE:
            self._clear_absent(index)
        now.code[index] = verdicts.code
        now.cause[index] = verdicts.cause
        now.value[index] = batch.values() if len(batch) else ()
        now.statistic[index] = verdicts.statistic
        now.threshold[index] = verdicts.threshold
        unsure = _NO_ROWS
        if batch.cause is Cause.NONE and not np.array_equal(now.cause, now.logged_cause):
            unsure = np.flatnonzero(now.known & (now.cause != now.logged_cause))
            now.logged_cause[unsure] = now.cause[unsure]
        now.known[index] = True
        if self.strategy is not None and not self.behind:
            note(now.since, now.code, now.cause, batch.slot)
        return self._evaluation(batch.slot, unsure, batch, verdicts)

    def _clear_absent(self, present: Positions | slice) -> None:
        """Clear the numbers that an expression no longer returns; an alert that keeps firing shows its last ones."""
        now = self.staged
        absent = (now.alerts.state != State.FIRING) | (self.rule.keep_firing_for == 0)
        absent[present] = False
        now.clear_numbers(absent)

    def empty(self) -> NDArray[np.bool_]:
        """Return for which models the rule is an expression that returns nothing now, (n,)."""
        now, plain = self.live, self.strategy is None and not self.parts
        empty: NDArray[np.bool_] = (now.code == Code.OK) & (now.cause == Cause.NONE) & plain
        return empty

    def unanswered(self, slot: Timestamp, cause: Cause) -> Evaluation:
        """Record a slot without a response: every model is inconclusive with `cause`."""
        now = self._writable()
        now.code[:] = Code.INCONCLUSIVE
        now.cause[:] = cause
        return self._evaluation(slot, _NO_ROWS)

    def _evaluation(
        self, slot: Timestamp, unsure: Positions, batch: EventBatch | None = None, verdicts: Verdicts | None = None,
        *, judged: ConditionJudgements = MappingProxyType({}),
    ) -> Evaluation:  # fmt: skip
        """Advance the alert state, and return the evaluation."""
        moves = self._move(slot)
        evaluation = self._result(slot, moves, unsure, batch, verdicts, judged)
        self.texts.remember(evaluation)
        return evaluation

    def unmoved(self, slot: Timestamp) -> Evaluation:
        """Return the present state as an evaluation in which no model moves."""
        return self._result(slot, NO_MOVES, _NO_ROWS, None, None, {})

    def _result(
        self, slot: Timestamp, moves: Moves, unsure: Positions, batch: EventBatch | None, verdicts: Verdicts | None,
        judged: ConditionJudgements,
    ) -> Evaluation:  # fmt: skip
        columns = self.staged.freeze()
        conditions = tuple(
            ConditionResult.of(part, judged.get(index), self.staged.parts[index])
            for index, part in enumerate(self.parts)
        )
        return Evaluation(
            self.rule, self.query, self.strategy, self.table, slot, columns, conditions, moves, unsure, batch, verdicts
        )

    def _judge(
        self, batch: EventBatch, strategy: RetrainStrategy | None, columns: RuleColumns | ConditionColumns,
        query: SignalQuery, first_seen: FirstSeen, name: str,
    ) -> Verdicts:  # fmt: skip
        """Return the verdicts on a batch; `columns` hold the strategy's state, stored as chunk `name`."""
        if name in self.behind and batch.cause is Cause.NONE:
            return Verdicts.inconclusive(len(batch), Cause.WARMING_UP)
        state = None if columns.state is None else columns.state[batch.index]
        if strategy is not None and strategy.inherits and state is not None and columns.state is not None:
            inherit(strategy, state, batch.index, columns.state, self.staged.known, self.table)
        since = first_seen[batch.index] if self.rule.warm_up else _NO_ROWS  # needed only then
        verdicts = judge(strategy, batch, state, self.rule, query, since)
        if state is not None and columns.state is not None:
            columns.state[batch.index] = state
        return verdicts

    def _absent(self, batch: EventBatch) -> tuple[Code, Cause]:
        """Return code and cause of absent models: healthy for a plain expression, inconclusive for a signal."""
        if batch.cause is not Cause.NONE:
            return Code.INCONCLUSIVE, batch.cause
        if self.strategy is None:
            return Code.OK, Cause.NONE
        return Code.INCONCLUSIVE, Cause.NO_DATA

    def _move(self, slot: Timestamp) -> Moves:
        now, rule = self.staged, self.rule
        now.code = apply_policies(now.code, now.cause, rule.policies, now.known)
        if rule.breaches is not None:
            now.code = count_breaches(now.alerts, now.code, rule.breaches.at_least, rule.breaches.of)
        moves = advance(now.alerts, now.code, slot, for_=rule.for_, keep=rule.keep_firing_for)
        self._touch(moves.touched)
        return moves

    def _touch(self, rows: Positions) -> None:
        if self.touched is not None and len(rows):
            self.touched.append(rows)

    def forget_series(self, evaluation: Evaluation | None) -> None:
        """Drop the labels of models that are neither pending nor firing. evaluation: the last one."""
        moves = None if evaluation is None else evaluation.moves
        if moves is None or len(moves.reset) or len(moves.resolved):
            active = set(np.flatnonzero(self.live.alerts.state).tolist())
            self.texts.forget_all_but(active)

    def alert_labels(self, row: int) -> Mapping[str, str]:
        """Return the labels of a model's alert or request, without the model's own and `alertname`."""
        return self.texts.labels(row, self._numbers)

    def alert_annotations(self, row: int) -> dict[str, str]:
        """Return the annotations of a model's alert or request, with its current numbers."""
        return self.texts.annotations(row, self._numbers(row))

    def _numbers(self, row: int) -> Numbers:
        """Return the numbers of a model; until the first evaluation after a start, of its alert's last change."""
        alerts = self.staged.alerts
        at = self.last_evaluation or max(alerts.active_at.item(row), alerts.fired_at.item(row))
        return Numbers.of(self.staged, row, at)

    @property
    def patience(self) -> Duration:
        """Time in ms that a model may have samples without any verdict."""
        return patience_of((self.strategy, *(part.strategy for part in self.parts)), self.rule.warm_up)

    def never_judged(self) -> Positions:
        """Return the rows of models with samples for longer than `patience` and no verdict."""
        since = np.where(self.live.known, self.live.since, 0)  # other models are only in history
        return overdue(since, self.last_evaluation, self.patience)


def _rows_of(batch: EventBatch, size: int) -> Positions | slice:
    """Return the rows of the batch's models; a slice if that is all of them in order, which is much faster."""
    index = batch.index
    if len(index) == size and (index[1:] > index[:-1]).all():
        return slice(None)
    return index.astype(np.int64)
