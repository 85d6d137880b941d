"""Rules that would never evaluate a model, as reported by `check --ask-prometheus` and `backtest`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.authoring.check import never_judged as blindness
from bridge.authoring.check.never_judged import never_judged
from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import SignalQuery, StrategySpec
from bridge.domain.times import HOUR, MINUTE, SECOND, Duration, Timestamp
from bridge.engine.evaluation import rule as rule_run
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


def test_a_backtest_has_a_column_of_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Three days of samples without a verdict, also with gaps; none where a limit gives verdicts."""
    assert [row["unjudged"] for row in run().run().rows()] == [0, 0, 0, 0]
    monkeypatch.setattr(rule_run, "build", lambda _spec: OnlyLarge())
    assert [row["unjudged"] for row in run().run().rows()] == [3, 3, 3, 3]
    interrupted(tmp_path, 2)
    assert [row["unjudged"] for row in run(tmp_path).run().rows()] == [3, 3, 3, 3]
