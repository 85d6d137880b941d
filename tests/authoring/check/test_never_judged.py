"""Rules that would never evaluate a model, as reported by `check --ask-prometheus` and `backtest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bridge.authoring.check import never_judged as blindness
from bridge.authoring.check.never_judged import never_judged
from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.engine.evaluation import rule as rule_run
from bridge.strategies.base import RetrainStrategy, StateColumn
from tests.authoring.backtest.test_backtest import interrupted, run
from tests.engine.evaluation.test_never_judged import NAN, OnlyLarge
from tests.support.world import DRIFT, START, A, B, ScriptedSource, group, rule

SPEC = StrategySpec("threshold", {"max": 1})


@dataclass
class Steady(ScriptedSource):
    """A of which there are numbers in every slot, B in the last hours only; down: the query fails."""

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        for slot in slots:
            self.script[query.name, slot - offset] = {A: 0.1, B: 0.1 if slot > START - HOUR else NAN}
            yield self.instant(query, slot, slot - offset)


def looked(interval: Duration = 10 * MINUTE, down: SourceError | None = None) -> list[ModelKey]:
    one = group(rule(), interval=interval)
    return never_judged(one, one.rules[0], DRIFT, SPEC, Steady(ModelTable(), down=down), START)


def test_the_last_days_tell_of_a_rule_before_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model with samples for only an hour does not count; a failed query gives none."""
    assert looked() == []
    monkeypatch.setattr(blindness, "build", lambda _spec: OnlyLarge())
    assert looked() == [A]
    assert looked(interval=SECOND) == []  # too many slots
    assert looked(down=SourceError("HTTP 503", reason="unavailable", transient=True)) == []


class Rare(RetrainStrategy):
    """Strategy with a verdict for each 200th value."""

    name = "rare"
    state_dtype = np.dtype([("count", np.int64)])

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        state["count"] += 1
        verdicts, known = Verdicts.inconclusive(len(batch), Cause.INSUFFICIENT), state["count"] % 200 == 0
        verdicts.code[known], verdicts.cause[known] = Code.OK, Cause.NONE
        verdicts.cause[np.isnan(batch.values())] = Cause.NAN
        return verdicts


def test_a_rule_with_a_verdict_in_more_than_a_day_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """200 values take 33 hours; at one value an hour they take more than the eight days that are looked at."""
    monkeypatch.setattr(blindness, "build", lambda _spec: Rare())
    assert looked() == []
    assert looked(interval=HOUR) == [A]


def test_a_backtest_has_a_column_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three days of samples without a verdict, also with gaps; none where a limit gives verdicts."""
    assert [row["unjudged"] for row in run().run().rows()] == [0, 0, 0, 0]
    monkeypatch.setattr(rule_run, "build", lambda _spec: OnlyLarge())
    assert [row["unjudged"] for row in run().run().rows()] == [3, 3, 3, 3]
    interrupted(tmp_path, 2)
    assert [row["unjudged"] for row in run(tmp_path).run().rows()] == [3, 3, 3, 3]
