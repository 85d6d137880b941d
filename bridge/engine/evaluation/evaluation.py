"""Result of one evaluation of one rule and of its group, and its explanation."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import msgspec
import numpy as np

from bridge.domain.alert import Moves, Positions
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Rule, SignalQuery
from bridge.domain.times import Timestamp, format_duration
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.evaluation.columns import EvaluatedColumns
from bridge.engine.evaluation.conditions import ConditionResult
from bridge.ports import TickReport
from bridge.strategies.base import RetrainStrategy

Triple = tuple[float | None, float | None, float | None]  # value, statistic and threshold
_labels = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Result of one evaluation of one rule. Later evaluations do not change it.

    query: of the rule, or of the first condition of a composite rule.
    strategy: None for a plain expression and for a composite rule.
    conditions: of a composite rule, else empty.
    moves: rows whose alert state changed.
    unsure: rows of known models whose cause of an inconclusive verdict changed (from or to NONE too).
    batch, verdicts: of the slot, None without a response.
    """

    rule: Rule
    query: SignalQuery
    strategy: RetrainStrategy | None
    table: ModelTable
    slot: Timestamp
    columns: EvaluatedColumns
    conditions: tuple[ConditionResult, ...]
    moves: Moves
    unsure: Positions
    batch: EventBatch | None
    verdicts: Verdicts | None
    _positions: dict[int, int] = field(default_factory=dict)  # of the batch's rows, filled on first use
    _numbers: dict[int, Triple] = field(default_factory=dict)  # of the rows that moved, filled on first use
    _described: dict[tuple[int, bool], str] = field(default_factory=dict)  # the last text: a request repeats it
    _series: dict[int, Mapping[str, str]] = field(default_factory=dict)  # those that were read
    _texts: list[str] = field(default_factory=list)  # query_text, filled on first use

    @property
    def queries(self) -> dict[str, SignalQuery]:
        """Queries of everything the rule reads, by name."""
        return {item.query.name: item.query for item in self.conditions} or {self.rule.query: self.query}

    @property
    def query_text(self) -> str:
        """Expressions of the rule's queries, as `query_text` returns them."""
        if not self._texts:
            self._texts.append(query_text(self.rule, self.queries))
        return self._texts[0]

    def numbers(self, row: int) -> Triple:
        """Return value, statistic and threshold of a model in this slot, None for NaN and without a sample.

        The columns keep earlier numbers of a model without a sample, but only until a restart.
        """
        if not self.conditions and self.position(row) < 0:
            return None, None, None
        if not self._numbers:
            self._numbers.update(self._triples(self.moves.touched))
        return self._numbers.get(row) or next(self._triples(np.array([row])))[1]

    def _triples(self, rows: Positions) -> Iterator[tuple[int, Triple]]:
        """Yield each row with its value, statistic and threshold."""
        now = self.columns
        lists = (map(none_if_nan, column[rows].tolist()) for column in (now.value, now.statistic, now.threshold))
        return zip(rows.tolist(), zip(*lists, strict=True), strict=True)

    def describe(self, row: int, *, waiting: bool = False) -> str:
        """Return why the model is breached, in one line; waiting: True while `for` has not elapsed."""
        if (row, waiting) in self._described:
            return self._described[row, waiting]
        suffix = ""
        if self.rule.for_:
            suffix = f"{', must last' if waiting else ''} for {format_duration(self.rule.for_)}"
        text = f"{self.rule.name}: {self.facts(row)}{suffix}"
        self._described.clear()
        self._described[row, waiting] = text
        return text

    def facts(self, row: int) -> str:
        """Return the model's sample and limit, in one line."""
        if self.conditions:
            return "; ".join(item.describe(row) for item in self.conditions)
        if cause := self.columns.cause.item(row):
            return f"{self.query.name} is inconclusive: {Cause(cause).word}, which this rule treats as a breach"
        text = self._sample(row) + self.chance(row)
        if (breaches := self.rule.breaches) is not None:
            count = int(np.bitwise_count(self.columns.recent[row]))
            text += f", breached in {count} of the last {breaches.of} slots"
        return text

    def chance(self, row: int) -> str:
        """Return the p-value and the number of tested models as text, under `fdr`; else ""."""
        if not self.rule.fdr or self.verdicts is None or self.verdicts.p is None:
            return ""
        position = self.position(row)
        if position < 0:
            return ""
        tested = np.count_nonzero(self.verdicts.code != Code.INCONCLUSIVE)
        return f", p {self.verdicts.p[position]:.2g} among {tested:,} models with fdr {self.rule.fdr:g}"

    def _sample(self, row: int) -> str:
        strategy, position = self.strategy, self.position(row)
        if strategy is not None and self.batch is not None and self.verdicts is not None and position >= 0:
            return strategy.describe(self.batch, position, self.verdicts)
        expression = next(iter(self.query.exprs.values()))
        return f"{expression} holds, value {self.columns.value[row]:.6g}"

    def position(self, row: int) -> int:
        """Return the model's position in the batch; -1 = absent."""
        if self.batch is None:
            return -1
        if not self._positions:  # most evaluations never need it
            self._positions.update(zip(self.batch.index.tolist(), range(len(self.batch)), strict=True))
        return self._positions.get(row, -1)

    def series(self, row: int) -> Mapping[str, str]:
        """Return the label set of the model's sample, always the same object; empty if the model is not in the batch.

        It shares the texts of the model's identity: 100,000 alerts and requests keep their label sets.
        """
        known = self._series.get(row)
        if known is not None:
            return known
        position = self.position(row)
        if self.batch is None or position < 0 or position >= len(self.batch.series):
            return {}
        labels, own = _labels.decode(self.batch.series[position]), self.table[row].labels()
        if own.items() <= labels.items():
            labels |= own
        if "__name__" in labels:
            labels["__name__"] = sys.intern(labels["__name__"])
        self._series[row] = labels
        return labels


def query_text(rule: Rule, queries: Mapping[str, SignalQuery]) -> str:
    """Return the expressions of a rule's queries, one per line; several are prefixed with their name."""
    exprs = {
        (f"{query.name}.{name}" if rule.conditions else name): text
        for query in queries.values()
        for name, text in query.exprs.items()
    }
    return (
        next(iter(exprs.values())) if len(exprs) == 1 else "\n".join(f"{name}: {text}" for name, text in exprs.items())
    )


def none_if_nan(number: float) -> float | None:
    """Return the number, or None for NaN."""
    return None if number != number else number  # noqa: PLR0124 - the test for NaN


@dataclass(frozen=True, slots=True)
class GroupEvaluation:
    """Result of a committed evaluation of a group.

    report: what telemetry shows of it.
    evaluations: of the present slot, by rule; a rule that could not be evaluated has none.
    """

    report: TickReport
    evaluations: Mapping[str, Evaluation]
