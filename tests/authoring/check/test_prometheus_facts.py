"""Facts that are read from Prometheus once. tests/integration has them on a real server."""

from __future__ import annotations

from typing import cast

import pytest

from bridge.authoring.check.prometheus_facts import LOOKED_AT, POINTS, PrometheusFacts
from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.domain.times import HOUR, MINUTE
from bridge.sources.prometheus import PrometheusSource
from tests.support.world import DRIFT, A, B, ScriptedSource

NOW = 1_700_000_000_000
NAN = float("nan")
FAILED = SourceError("cut off", reason="timeout", transient=True)


class Source(ScriptedSource):
    """Scripted source with metrics and times of samples. failing: every query fails."""

    def __init__(self) -> None:
        super().__init__(ModelTable())
        self.names: list[str] | SourceError = []
        self.times: dict[int, list[int]] = {}
        self.answers: dict[str, float] = {}
        self.exprs: list[str] = []

    def metric_names(self) -> list[str]:
        if isinstance(self.names, SourceError):
            raise self.names
        return self.names

    def sample_times(self, metric: str, span: int, now: int) -> list[int]:
        if self.down:
            raise self.down
        return self.times.get(span, [])

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        self.exprs.append(query.exprs["value"])
        if query.name in {"number", "models"}:
            key = query.exprs["value"]
            self.script[query.name, at] = {A: self.answers[key]} if key in self.answers else {}
        return super().instant(query, slot, at)


@pytest.fixture
def source() -> Source:
    return Source()


def facts(source: Source) -> PrometheusFacts:
    return PrometheusFacts(cast("PrometheusSource", source), NOW)


def test_the_extremes_of_a_day_are_measured_once(source: Source) -> None:
    """Without NaN and infinities; every model with a sample was seen."""
    step = LOOKED_AT // POINTS
    source.script["drift", NOW] = {A: 0.5, B: NAN}
    source.script["drift", NOW - 3 * step] = {A: 0.1, B: float("inf")}
    found = facts(source)
    assert found.measured(DRIFT, 0) == (0.1, 0.5)
    queries = len(source.exprs)
    assert found.measured(DRIFT, 0) == (0.1, 0.5)
    assert (len(source.exprs), queries, found.seen) == (POINTS, POINTS, {A, B})


def test_the_models_of_a_signal_are_counted_now(source: Source) -> None:
    """With the offset of the group; a failed query finds none."""
    source.script["drift", NOW - MINUTE] = {A: 0.5, B: NAN}
    assert (facts(source).number_of_models(DRIFT, MINUTE), facts(source).number_of_models(DRIFT, 0)) == (2, 0)
    source.down = FAILED
    assert facts(source).number_of_models(DRIFT, MINUTE) == 0


@pytest.mark.parametrize("down", [FAILED, None])
def test_without_samples_nothing_is_measured(source: Source, down: SourceError | None) -> None:
    """Nor when a query fails."""
    source.down = down
    assert facts(source).measured(DRIFT, 0) is None


def test_the_time_between_samples_is_a_median(source: Source) -> None:
    """Of the shortest span with more than a few; 0 = unknown."""
    source.times = {10 * MINUTE: [0, 1, 2], HOUR: [0, 60_000, 120_000, 900_000, 960_000]}
    assert facts(source).spacing("m") == 60_000
    source.times = {}
    assert facts(source).spacing("m") == 0
    source.down = FAILED
    assert facts(source).spacing("m") == 0


def test_an_unknown_list_of_metrics_knows_everything(source: Source) -> None:
    source.names = ["up"]
    assert [facts(source).knows(name) for name in ("up", "down", "")] == [True, False, True]
    source.names = FAILED
    assert facts(source).knows("down")


def test_a_selector_is_there_unless_its_count_is_zero(source: Source) -> None:
    """A failed query says nothing."""
    source.answers = {"count(last_over_time(up[1d]))": 3.0}
    assert facts(source).is_there("up")
    assert not facts(source).is_there("down")
    source.down = FAILED
    assert facts(source).is_there("down")


def test_models_are_grouped_by_the_labels_that_name_them(source: Source) -> None:
    """Constants are no labels; a name that PromQL cannot write plainly is quoted."""
    mapping = ModelLabels(LabelRef(const="shop"), LabelRef("gen_ai.model"), LabelRef("version"))
    assert facts(source).models("up", mapping) == set()
    assert source.exprs == ['group by ("gen_ai.model",version) (up)']
    source.answers = {source.exprs[0]: 1.0}
    assert facts(source).models("up", mapping) == {A}
    assert facts(source).models("up", ModelLabels(*(LabelRef(const="x"),) * 3)) == set()
    assert len(source.exprs) == 2
