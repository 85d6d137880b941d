"""One rule over all its models while the bridge runs: its columns, its readings, and how its last evaluation went."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from bridge.domain.alert import (
    AlertRow,
    Moves,
    Positions,
    advance,
    apply_policies,
    count_breaches,
    skip_unseen,
)
from bridge.domain.batch import EventBatch
from bridge.domain.limits import LARGEST_LABELS, LONGEST_TEXT, cut
from bridge.domain.model import ModelTable
from bridge.domain.rule import Group, Mode, Rule, RuleKind, SignalQuery
from bridge.domain.times import Duration, Timestamp, format_duration
from bridge.domain.verdict import Cause, Code, Int8, Verdicts
from bridge.engine.evaluation.columns import RuleColumns
from bridge.engine.evaluation.conditions import ConditionColumns, ConditionEvaluator, combine, health
from bridge.engine.evaluation.expansion import Expander
from bridge.engine.evaluation.inheritance import succeed
from bridge.engine.evaluation.judge import FirstSeen, judge
from bridge.engine.evaluation.never_judged import note, overdue, patience_of
from bridge.strategies.base import RetrainStrategy
from bridge.strategies.registry import build
from bridge.templates.alert import AlertTemplate

_NOTHING = np.zeros(0, np.int64)
MOST_LABELS = 8 * LARGEST_LABELS  # bytes of the labels of one alert or request as JSON


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one batch did to one rule: which model slots moved.

    unsure: model slots of known models whose cause of being inconclusive changed (from or to NONE too).
    """

    run: RuleEvaluator
    slot: Timestamp
    moves: Moves
    unsure: Positions
    batch: EventBatch | None
    verdicts: Verdicts | None
    _places: dict[int, int] = field(default_factory=dict)

    def describe(self, model_slot: int, *, waiting: bool = False) -> str:
        """Why the model is breached, in one line; waiting: its `for` has only begun."""
        rule = self.run.rule
        suffix = ""
        if rule.for_:
            suffix = f"{', has to last' if waiting else ''} for {format_duration(rule.for_)}"
        return f"{rule.name}: {self.facts(model_slot)}{suffix}"

    def facts(self, model_slot: int) -> str:
        """What the rule saw of the model, in one line."""
        now = self.run.staged
        if self.run.parts:
            told = zip(self.run.parts, now.parts, strict=True)
            return "; ".join(part.describe(columns, model_slot) for part, columns in told)
        if cause := Cause(now.cause[model_slot]):
            return f"{self.run.query.name} is inconclusive: {cause.word}, which this rule takes as a breach"
        text = self._reading(model_slot) + self.chance(model_slot)
        if (breaches := self.run.rule.breaches) is not None:
            count = int(np.bitwise_count(now.alerts.recent[model_slot]))
            text += f", breached in {count} of the last {breaches.of} slots"
        return text

    def chance(self, model_slot: int) -> str:
        """How probable that is by chance, and among how many models, where `fdr` counts them."""
        position = self.position(model_slot)
        if not self.run.rule.fdr or self.verdicts is None or self.verdicts.p is None or position < 0:
            return ""
        tested = np.count_nonzero(self.verdicts.code != Code.INCONCLUSIVE)
        return f", p {self.verdicts.p[position]:.2g} among {tested:,} models with fdr {self.run.rule.fdr:g}"

    def _reading(self, model_slot: int) -> str:
        strategy, position = self.run.strategy, self.position(model_slot)
        if strategy is not None and self.batch is not None and self.verdicts is not None and position >= 0:
            return strategy.describe(self.batch, position, self.verdicts)
        expression = next(iter(self.run.query.exprs.values()))
        return f"{expression} holds, value {self.run.staged.value[model_slot]:.6g}"

    def position(self, model_slot: int) -> int:
        """Where the model stands in the batch, -1 when it is not there."""
        if self.batch is None:
            return -1
        if not self._places:  # most slots are never asked
            self._places.update(zip(self.batch.index.tolist(), range(len(self.batch)), strict=True))
        return self._places.get(model_slot, -1)

    def series(self, model_slot: int) -> Mapping[str, str]:
        """The label set that the model's sample came with; empty when it is not in the batch."""
        position = self.position(model_slot)
        if self.batch is None or position < 0 or position >= len(self.batch.series):
            return {}
        labels: dict[str, str] = json.loads(self.batch.series[position])
        return labels


@dataclass(slots=True)
class RuleEvaluator:
    """A rule at work. `live` is what is committed; a tick works on `staged` and commits or rolls back.

    health: "unknown" | "ok" | "err". series: labels of the samples of pending and firing models, by row; frozen
    when the model began to fire. expanded: the labels of the rule that are templates, frozen likewise.
    seconds: what its last evaluation took, its queries included; spent: judging, in the tick that is under way.
    failures: evaluations that failed in a row. raised: its strategy did, in this slot.
    touched: models whose rows may differ from those that are stored; None: all of them.
    state_slots: name of a chunk of strategy state -> the slot for which it was written. behind: of those that were
    read at a start and are not brought up to the last slot yet (state/backfill.py); they see no present slot.
    tries: of those whose history could not be asked, how often, and from which slot on it is asked again.
    """

    rule: Rule
    query: SignalQuery
    fingerprint: str
    table: ModelTable
    strategy: RetrainStrategy | None
    parts: list[ConditionEvaluator]
    annotations: Mapping[str, AlertTemplate]
    label_templates: Mapping[str, AlertTemplate]
    live: RuleColumns
    staged: RuleColumns
    series: dict[int, Mapping[str, str]] = field(default_factory=dict)
    expanded: dict[int, Mapping[str, str]] = field(default_factory=dict)
    expander: Expander = field(default_factory=Expander)
    health: str = "unknown"
    last_error: str = ""
    last_evaluation: Timestamp = 0
    seconds: float = 0.0
    spent: float = 0.0
    failures: int = 0
    evaluation: Evaluation | None = None
    raised: bool = False
    touched: list[Positions] | None = field(default_factory=list)
    state_slots: dict[str, Timestamp] = field(default_factory=dict)
    behind: dict[str, Timestamp] = field(default_factory=dict)
    tries: dict[str, tuple[int, Timestamp]] = field(default_factory=dict)

    @staticmethod
    def of(group: Group, rule: Rule, table: ModelTable) -> RuleEvaluator:
        """A rule that has seen nothing yet."""
        strategy = None if rule.strategy is None else build(rule.strategy)
        templates = {name: AlertTemplate(text, rule.alertname) for name, text in rule.annotations.items()}
        labels = {name: AlertTemplate(text, rule.alertname) for name, text in rule.labels.items() if "{{" in text}
        parts = [
            ConditionEvaluator(item, group.queries[item.query], None if item.strategy is None else build(item.strategy))
            for item in rule.conditions
        ]
        empty = RuleColumns.empty(strategy, parts)
        query = group.queries[rule.query]
        fingerprint = group.fingerprint(rule)
        return RuleEvaluator(rule, query, fingerprint, table, strategy, parts, templates, labels, empty, empty)

    @property
    def queries(self) -> dict[str, SignalQuery]:
        """All that it reads, by name."""
        return {part.query.name: part.query for part in self.parts} or {self.rule.query: self.query}

    @property
    def notifies(self) -> bool:
        """Whether it is a live `alert:` rule, which notifies people and requests nothing."""
        return self.rule.kind is RuleKind.ALERT and self.rule.mode is Mode.LIVE

    def continued(self, group: Group, rule: Rule) -> RuleEvaluator:
        """This run under an edited rule of the same meaning: state stays, texts and durations are the new ones."""
        fresh = RuleEvaluator.of(group, rule, self.table)
        fresh.live = fresh.staged = self.live
        fresh.series, fresh.expanded, fresh.failures = self.series, self.expanded, self.failures
        fresh.state_slots, fresh.behind, fresh.tries = self.state_slots, self.behind, self.tries
        fresh.health, fresh.last_error, fresh.last_evaluation = self.health, self.last_error, self.last_evaluation
        fresh.seconds = self.seconds
        return fresh

    def restore(self, rows: list[AlertRow]) -> None:
        """Take over stored rows of this rule and meaning."""
        slots = [self.table.row(row.model) for row in rows]
        self.live.grow(len(self.table), self.strategy, self.parts)
        for slot, row in zip(slots, rows, strict=True):
            alerts = self.live.alerts
            alerts.state[slot] = row.state
            alerts.active_at[slot] = row.active_at
            alerts.fired_at[slot] = row.fired_at
            alerts.keep_since[slot] = row.keep_since
            alerts.recent[slot] = row.recent
            self.live.known[slot] = True
            self.series[slot] = row.model.labels()
        self.staged = self.live

    def expect(self, models: Positions, told: Positions | None = None) -> None:
        """Know models that its signal is expected to report; told: those of which was said that they do not."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        self.staged.known[models] = True
        if told is not None:
            self.staged.told[told] = Cause.NO_DATA

    def leave(self, slots: Positions) -> Positions:
        """Models that are gone for good: not known any more. Those of them that were pending or firing are returned."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        now = self.staged
        active = slots[now.alerts.state[slots] != 0]
        self._touch(slots)
        now.known[slots] = False
        now.told[slots] = Cause.NONE
        now.since[slots] = 0
        now.code[slots], now.cause[slots] = Code.INCONCLUSIVE, Cause.NO_DATA
        for column in (now.value, now.statistic, now.threshold):
            column[slots] = np.nan
        now.alerts.clear(slots)
        for state in (now.state, *(part.state for part in now.parts)):
            if state is not None:
                state[slots] = np.zeros(1, state.dtype)
        found: Positions = active
        return found

    def begin(self) -> None:
        """Start a tick: from now on changes go to a copy."""
        self.staged, self.touched = self.live.copy(), [] if self.rule.breaches is None else None
        self.spent = 0.0
        self.next_slot()

    def next_slot(self) -> None:
        """Nothing was answered yet."""
        self.evaluation, self.raised = None, False
        for part in self.parts:
            part.forget()

    def commit(self) -> None:
        """The tick is stored: its readings are the live ones."""
        self.live = self.staged

    def rollback(self) -> None:
        """The tick could not be stored: as if it had not been."""
        self.staged = self.live
        self.evaluation = None

    def skip(self, gap: Duration) -> None:
        """`gap` ms were never evaluated: they count towards nothing."""
        if gap:
            self.touched = None
            skip_unseen(self.staged.alerts, gap)

    def take(self, batch: EventBatch, first_seen: FirstSeen) -> None:
        """One of its signals was answered: judge it. first_seen: (n,) of the models. Raises StrategyError."""
        if not self.parts:
            self.evaluate(batch, first_seen)
            return
        self.staged.grow(len(self.table), self.strategy, self.parts)
        for place, (part, columns) in enumerate(zip(self.parts, self.staged.parts, strict=True)):
            if part.query.name == batch.name and (part.strategy is not None or not part.condition.healthy):
                name = f"{self.rule.name}[{place}]"
                part.take(columns, batch, self._judge(batch, part.strategy, columns, part.query, first_seen, name))

    def conclude(
        self, slot: Timestamp, causes: Mapping[str, Cause], siblings: Callable[[str], Iterable[RuleEvaluator]]
    ) -> Evaluation:
        """Count a composite rule's conditions once all its signals were taken, and move the life cycle.

        causes: by signal, why there was no answer. siblings: the rules of the group that judge a signal.
        """
        self.staged.grow(len(self.table), self.strategy, self.parts)
        now = self.staged
        for part, columns in zip(self.parts, now.parts, strict=True):
            if part.condition.healthy and part.strategy is None:
                health(columns, (run.opinion() for run in siblings(part.query.name)))
            elif part.batch is None:
                columns.unknown(causes.get(part.query.name) or Cause.NO_DATA)
        now.code, now.cause = combine(now.parts, self.rule.at_least)
        now.value[:], now.threshold[:] = now.parts[0].value, now.parts[0].threshold
        now.statistic[:] = now.parts[0].value
        answered = not causes
        unsure = np.flatnonzero(now.known & (now.cause != now.told) & answered)
        now.told[unsure] = now.cause[unsure]
        note(now.since, now.code, now.cause, slot)
        for part in self.parts:
            if part.batch is not None:
                now.known[part.batch.index] = True
        first = self.parts[0]
        self.evaluation = Evaluation(self, slot, self._move(slot), unsure, first.batch, first.verdicts)
        self._remember_series(self.evaluation)
        return self.evaluation

    def opinion(self) -> tuple[Int8, Int8, Int8]:
        """Its code, cause and alert state columns; blind when its strategy raised in this slot."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        now = self.staged
        if self.evaluation is None:
            size = len(now.code)
            return np.full(size, Code.INCONCLUSIVE, np.int8), np.full(size, Cause.BLIND, np.int8), now.alerts.state
        return now.code, now.cause, now.alerts.state

    def evaluate(self, batch: EventBatch, first_seen: FirstSeen) -> Evaluation:
        """Judge a batch and move the life cycle by its slot. Raises StrategyError; then nothing has changed."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        verdicts = self._judge(batch, self.strategy, self.staged, self.query, first_seen, self.rule.name)
        now, index = self.staged, _places(batch, len(self.staged.code))
        now.code[:], now.cause[:] = self._absent(batch)
        now.code[index] = verdicts.code
        now.cause[index] = verdicts.cause
        now.value[index] = batch.values() if len(batch) else ()
        now.statistic[index] = verdicts.statistic
        now.threshold[index] = verdicts.threshold
        unsure = _NOTHING
        if batch.cause is Cause.NONE and not np.array_equal(now.cause, now.told):
            unsure = np.flatnonzero(now.known & (now.cause != now.told))
            now.told[unsure] = now.cause[unsure]
        now.known[index] = True
        if self.strategy is not None:
            note(now.since, now.code, now.cause, batch.slot)
        self.evaluation = Evaluation(self, batch.slot, self._move(batch.slot), unsure, batch, verdicts)
        self._remember_series(self.evaluation)
        return self.evaluation

    def unanswered(self, slot: Timestamp, cause: Cause) -> Evaluation:
        """There was no answer to judge: every model is inconclusive because of `cause`."""
        self.staged.grow(len(self.table), self.strategy, self.parts)
        self.staged.code[:] = Code.INCONCLUSIVE
        self.staged.cause[:] = cause
        nothing = np.zeros(0, np.int64)
        self.evaluation = Evaluation(self, slot, self._move(slot), nothing, None, None)
        return self.evaluation

    def _judge(
        self, batch: EventBatch, strategy: RetrainStrategy | None, holder: RuleColumns | ConditionColumns,
        query: SignalQuery, first_seen: FirstSeen, name: str,
    ) -> Verdicts:  # fmt: skip
        """Verdicts of a batch; `holder` keeps the strategy's state, under `name`."""
        if name in self.behind and batch.cause is Cause.NONE:
            return Verdicts.inconclusive(len(batch), Cause.WARMING_UP)
        state = None if holder.state is None else holder.state[batch.index]
        if strategy is not None and strategy.inherits and state is not None and holder.state is not None:
            succeed(strategy, state, batch.index, holder.state, self.staged.known, self.table)
        since = first_seen[batch.index] if self.rule.warm_up else _NOTHING  # of interest only then
        verdicts = judge(strategy, batch, state, self.rule, query, since)
        if state is not None and holder.state is not None:
            holder.state[batch.index] = state
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
        now.code = apply_policies(now.code, now.cause, rule.policies, now.known)
        if rule.breaches is not None:
            now.code = count_breaches(now.alerts, now.code, rule.breaches.at_least, rule.breaches.of)
        moves = advance(now.alerts, now.code, slot, for_=rule.for_, keep=rule.keep_firing_for)
        self._touch(moves.touched)
        return moves

    def _touch(self, slots: Positions) -> None:
        if self.touched is not None and len(slots):
            self.touched.append(slots)

    def _remember_series(self, evaluation: Evaluation) -> None:
        """Freeze the labels of models that become pending, and of those that begin to fire."""
        for row in (*evaluation.moves.pending.tolist(), *evaluation.moves.fired.tolist()):
            self.series[row] = {**evaluation.series(row), **self.table[row].labels()}
            if self.label_templates:
                self.expanded[row] = self._expand(self.label_templates, row, evaluation.slot)

    def forget_series(self) -> None:
        """Drop the labels of models that are neither pending nor firing any more."""
        moves = None if self.evaluation is None else self.evaluation.moves
        if moves is None or len(moves.reset) or len(moves.resolved):
            active = set(np.flatnonzero(self.live.alerts.state).tolist())
            self.series = {row: labels for row, labels in self.series.items() if row in active}
            self.expanded = {row: labels for row, labels in self.expanded.items() if row in active}

    @property
    def carries_series(self) -> bool:
        """Whether alerts and requests carry the labels of the series: those of an `expr` rule do, as in Prometheus."""
        return self.strategy is None and not self.parts

    def alert_labels(self, row: int) -> dict[str, str]:
        """Return the labels of a model's alert or request: the series', and over them the rule's.

        Without the model's own and `alertname`, which the notification adds.
        """
        model = self.table[row].labels()
        series = self.series.get(row, {}) if self.carries_series else {}
        own: dict[str, str] = dict(self.rule.labels)
        if self.label_templates:
            own |= self.expanded.get(row) or self._expand(self.label_templates, row, self.last_evaluation)
        more = {name: text for name, text in sorted(series.items()) if name not in {*model, *own, "__name__"}}
        return _bounded({name: text for name, text in (own | more).items() if text})

    @property
    def patience(self) -> Duration:
        """How long it may have numbers of a model without a verdict."""
        return patience_of((self.strategy, *(part.strategy for part in self.parts)), self.rule.warm_up)

    def never_judged(self) -> Positions:
        """Return the model slots of which it has had numbers for longer than that, and has not judged one."""
        return overdue(self.live.since, self.last_evaluation, self.patience)

    def rendered(self, row: int) -> dict[str, str]:
        """Return the rule's annotations for a model, with its present numbers."""
        return self._expand(self.annotations, row, self.last_evaluation)

    def _expand(self, templates: Mapping[str, AlertTemplate], row: int, at: Timestamp) -> dict[str, str]:
        labels = self.series.get(row) or self.table[row].labels()
        value, threshold = float(self.staged.value[row]), float(self.staged.threshold[row])
        limit = None if np.isnan(threshold) else threshold
        texts = (
            (name, self.expander.expand(template, labels, value, limit, at)) for name, template in templates.items()
        )
        return {name: cut(text, LONGEST_TEXT) for name, text in texts}


def _bounded(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the first of the labels that fit into a request together."""
    found: dict[str, str] = {}
    size = 0
    for name, text in labels.items():
        size += len(json.dumps({name: text}, ensure_ascii=False).encode())
        if size > MOST_LABELS:
            break
        found[name] = text
    return found


def _places(batch: EventBatch, size: int) -> Positions | slice:
    """Where the batch's models are in a column; all of it when they are all there in order, which is much faster."""
    index = batch.index
    if len(index) == size and (index[1:] > index[:-1]).all():
        return slice(None)
    return index.astype(np.int64)
