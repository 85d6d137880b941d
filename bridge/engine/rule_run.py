"""One rule over all its models while the bridge runs: its columns, its readings, and how its last evaluation went."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from bridge.domain.alert import AlertColumns, AlertRow, Moves, Positions, advance, apply_policies, skip_unseen
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group, Rule, SignalQuery
from bridge.domain.template import Template
from bridge.domain.times import Duration, Timestamp, format_duration
from bridge.domain.verdict import Cause, Code, Floats, Int8, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, guarded
from bridge.strategies.registry import build


@dataclass(slots=True)
class Readings:
    """What a rule knows of every model slot: life cycle, last verdict and numbers, strategy state. All (n,).

    code: after policies; cause: as the strategy said. known: the rule has seen this model. told: the cause that the
    last decision record of this model told.
    """

    alerts: AlertColumns
    code: Int8
    cause: Int8
    value: Floats
    statistic: Floats
    threshold: Floats
    known: NDArray[np.bool_]
    told: Int8
    state: StateColumn | None

    @staticmethod
    def empty(strategy: RetrainStrategy | None) -> Readings:
        nothing, none = np.empty(0), np.zeros(0, np.int8)
        state = None if strategy is None else strategy.new_state(0)
        return Readings(AlertColumns.empty(), none, none, nothing, nothing, nothing, np.zeros(0, np.bool_), none, state)

    def copy(self) -> Readings:
        """A copy that can be changed without touching this one."""
        state = None if self.state is None else self.state.copy()
        return Readings(
            self.alerts.copy(),
            self.code.copy(),
            self.cause.copy(),
            self.value.copy(),
            self.statistic.copy(),
            self.threshold.copy(),
            self.known.copy(),
            self.told.copy(),
            state,
        )

    def grow(self, size: int, strategy: RetrainStrategy | None) -> None:
        """Make room for `size` model slots; new ones are unknown and inconclusive."""
        more = size - len(self.code)
        if more <= 0:
            return
        self.alerts.grow(size)
        self.code = np.concatenate([self.code, np.full(more, Code.INCONCLUSIVE, np.int8)])
        self.cause = np.concatenate([self.cause, np.full(more, Cause.NO_DATA, np.int8)])
        nan = np.full(more, np.nan)
        self.value, self.statistic, self.threshold = (
            np.concatenate([column, nan]) for column in (self.value, self.statistic, self.threshold)
        )
        self.known = np.concatenate([self.known, np.zeros(more, np.bool_)])
        self.told = np.concatenate([self.told, np.zeros(more, np.int8)])
        fresh = None if strategy is None else strategy.new_state(more)
        if self.state is not None and fresh is not None:
            self.state = np.concatenate([self.state, fresh])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one batch did to one rule: which model slots moved, and where each stands in the batch (-1: it does not).

    unsure: model slots of known models whose cause of being inconclusive changed (from or to NONE too).
    """

    run: RuleRun
    slot: Timestamp
    moves: Moves
    unsure: Positions
    batch: EventBatch | None
    verdicts: Verdicts | None
    place: NDArray[np.int64] | None

    def describe(self, model_slot: int, *, waiting: bool = False) -> str:
        """Why the model is breached, in one line; waiting: its `for` has only begun."""
        rule = self.run.rule
        suffix = ""
        if rule.for_:
            suffix = f"{', has to last' if waiting else ''} for {format_duration(rule.for_)}"
        return f"{rule.name}: {self._facts(model_slot)}{suffix}"

    def _facts(self, model_slot: int) -> str:
        strategy, position = self.run.strategy, self.position(model_slot)
        if strategy is not None and self.batch is not None and self.verdicts is not None and position >= 0:
            return strategy.describe(self.batch, position, self.verdicts)
        expression = next(iter(self.run.query.exprs.values()))
        return f"{expression} holds, value {self.run.staged.value[model_slot]:.6g}"

    def position(self, model_slot: int) -> int:
        """Where the model stands in the batch, -1 when it is not there."""
        return -1 if self.place is None else int(self.place[model_slot])

    def series(self, model_slot: int) -> Mapping[str, str]:
        """The label set that the model's sample came with; empty when it is not in the batch."""
        position = self.position(model_slot)
        if self.batch is None or position < 0 or position >= len(self.batch.series):
            return {}
        labels: dict[str, str] = json.loads(self.batch.series[position])
        return labels


@dataclass(slots=True)
class RuleRun:
    """A rule at work. `live` is what is committed; a tick works on `staged` and commits or rolls back.

    health: "unknown" | "ok" | "err". series: labels of the samples of pending and firing models, by model slot.
    failures: evaluations that failed in a row.
    """

    rule: Rule
    query: SignalQuery
    fingerprint: str
    table: ModelTable
    strategy: RetrainStrategy | None
    annotations: Mapping[str, Template]
    live: Readings
    staged: Readings
    series: dict[int, Mapping[str, str]] = field(default_factory=dict)
    health: str = "unknown"
    last_error: str = ""
    last_evaluation: Timestamp = 0
    seconds: float = 0.0
    failures: int = 0
    evaluation: Evaluation | None = None

    @staticmethod
    def of(group: Group, rule: Rule, table: ModelTable) -> RuleRun:
        """A rule that has seen nothing yet."""
        strategy = None if rule.strategy is None else build(rule.strategy)
        templates = {name: Template(text) for name, text in rule.annotations.items()}
        empty = Readings.empty(strategy)
        query = group.queries[rule.query]
        return RuleRun(rule, query, group.fingerprint(rule), table, strategy, templates, empty, empty)

    def continued(self, group: Group, rule: Rule) -> RuleRun:
        """This run under an edited rule of the same meaning: state stays, texts and durations are the new ones."""
        fresh = RuleRun.of(group, rule, self.table)
        fresh.live = fresh.staged = self.live
        fresh.series, fresh.failures = self.series, self.failures
        fresh.health, fresh.last_error, fresh.last_evaluation = self.health, self.last_error, self.last_evaluation
        return fresh

    def restore(self, rows: list[AlertRow]) -> None:
        """Take over stored rows of this rule and meaning."""
        slots = [self.table.slot(row.model) for row in rows]
        self.live.grow(len(self.table), self.strategy)
        for slot, row in zip(slots, rows, strict=True):
            alerts = self.live.alerts
            alerts.state[slot] = row.state
            alerts.active_at[slot] = row.active_at
            alerts.fired_at[slot] = row.fired_at
            alerts.keep_since[slot] = row.keep_since
            self.live.known[slot] = True
            self.series[slot] = row.model.labels()
        self.staged = self.live

    def begin(self) -> None:
        """Start a tick: from now on changes go to a copy."""
        self.staged = self.live.copy()
        self.evaluation = None

    def commit(self) -> None:
        """The tick is stored: its readings are the live ones."""
        self.live = self.staged

    def rollback(self) -> None:
        """The tick could not be stored: as if it had not been."""
        self.staged = self.live
        self.evaluation = None

    def skip(self, gap: Duration) -> None:
        """`gap` ms were never evaluated: they count towards nothing."""
        skip_unseen(self.staged.alerts, gap)

    def evaluate(self, batch: EventBatch) -> Evaluation:
        """Judge a batch and move the life cycle by its slot. Raises StrategyError; then nothing has changed."""
        self.staged.grow(len(self.table), self.strategy)
        verdicts = self._judge(batch)
        now, index = self.staged, batch.index
        absent_code, absent_cause = self._absent(batch)
        now.code[:] = absent_code
        now.cause[:] = absent_cause
        now.code[index] = verdicts.code
        now.cause[index] = verdicts.cause
        now.value[index] = batch.values() if len(index) else ()
        now.statistic[index] = verdicts.statistic
        now.threshold[index] = verdicts.threshold
        place = np.full(len(now.code), -1, np.int64)
        place[index] = np.arange(len(index))
        unsure = np.flatnonzero(now.known & (now.cause != now.told) & (batch.cause is Cause.NONE))
        now.told[unsure] = now.cause[unsure]
        now.known[index] = True
        self.evaluation = Evaluation(self, batch.slot, self._move(batch.slot), unsure, batch, verdicts, place)
        self._remember_series(self.evaluation)
        return self.evaluation

    def unanswered(self, slot: Timestamp, cause: Cause) -> Evaluation:
        """There was no answer to judge: every model is inconclusive because of `cause`."""
        self.staged.grow(len(self.table), self.strategy)
        self.staged.code[:] = Code.INCONCLUSIVE
        self.staged.cause[:] = cause
        nothing = np.zeros(0, np.int64)
        self.evaluation = Evaluation(self, slot, self._move(slot), nothing, None, None, None)
        return self.evaluation

    def _judge(self, batch: EventBatch) -> Verdicts:
        if batch.cause is not Cause.NONE:
            return Verdicts.inconclusive(len(batch), batch.cause)
        if self.strategy is None:
            size, values = len(batch), batch.values()
            nan = np.full(size, np.nan)
            return Verdicts(np.full(size, Code.BREACHED, np.int8), np.zeros(size, np.int8), values, nan)
        state = None if self.staged.state is None else self.staged.state[batch.index]
        verdicts = guarded(self.strategy, batch, state)
        if state is not None and self.staged.state is not None:
            self.staged.state[batch.index] = state
        return verdicts

    def _absent(self, batch: EventBatch) -> tuple[Code, Cause]:
        """What a model is that the batch does not hold: healthy for a plain expression, unknown for a signal."""
        if batch.cause is not Cause.NONE:
            return Code.INCONCLUSIVE, batch.cause
        if self.strategy is None:
            return Code.OK, Cause.NONE
        return Code.INCONCLUSIVE, Cause.NO_DATA

    def _move(self, slot: Timestamp) -> Moves:
        now, rule = self.staged, self.rule
        now.code = apply_policies(now.code, now.cause, dict(rule.policies))
        return advance(now.alerts, now.code, slot, for_=rule.for_, keep=rule.keep_firing_for)

    def _remember_series(self, evaluation: Evaluation) -> None:
        for slot in (*evaluation.moves.pending.tolist(), *evaluation.moves.fired.tolist()):
            self.series[slot] = {**evaluation.series(slot), **self.table[slot].labels()}

    def forget_series(self) -> None:
        """Drop the labels of models that are neither pending nor firing any more."""
        moves = None if self.evaluation is None else self.evaluation.moves
        if moves is None or len(moves.reset) or len(moves.resolved):
            active = set(np.flatnonzero(self.live.alerts.state).tolist())
            self.series = {slot: labels for slot, labels in self.series.items() if slot in active}

    def rendered(self, model_slot: int) -> dict[str, str]:
        """The rule's annotations for a model, with its present numbers."""
        labels = self.series.get(model_slot) or self.table[model_slot].labels()
        value, threshold = float(self.staged.value[model_slot]), float(self.staged.threshold[model_slot])
        limit = None if np.isnan(threshold) else threshold
        return {name: template.render(labels, value, limit) for name, template in self.annotations.items()}
