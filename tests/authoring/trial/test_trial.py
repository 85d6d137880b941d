"""Trials: sentences, budget and page, from a backtest over a scripted history."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bridge.authoring.suggest.first_config import FirstConfig
from bridge.authoring.suggest.suggest import Suggestion
from bridge.authoring.trial.trial import PROBES, ROUNDS, Trial, _has_values, evaluation_step, first_value, waiting
from bridge.domain.batch import EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.times import DAY, HOUR, MINUTE
from tests.authoring.backtest.test_backtest import FIRST, LAST, PLAN, Wave, run

FILES = {"bridge.yml": "# <b>mine</b>\n", "rules/packs.yml": "groups: []\n"}


def trial(until: int = LAST, step: int = MINUTE) -> Trial:
    test = run(charts=True)
    results = test.run()
    assert test.recorder is not None
    found = FirstConfig(Suggestion(12), FILES, (), ("Prometheus names no Alertmanager",))
    return Trial(
        "http://prometheus:9090", found, results, test.recorder, test.table, step, MINUTE, 30_000, 0, FIRST, until
    )


def test_a_budget_holds_what_comes_too_early() -> None:
    """Counted from the last request that was sent, not from one that was held."""
    first = trial().results.sent()[0]
    sent = [replace(first, sent_at=FIRST + at * DAY) for at in (0, 6, 7, 9, 14)]
    assert [item.sent_at for item in waiting(sent)] == [FIRST + 6 * DAY, FIRST + 9 * DAY]


@pytest.mark.parametrize(("days", "step"), [(1, 1), (3, 2), (30, 15), (3000, 1440)])
def test_a_long_range_is_evaluated_at_longer_intervals(days: int, step: int) -> None:
    """At most 3000 slots."""
    assert evaluation_step(MINUTE, days * DAY) == step * MINUTE


@pytest.mark.parametrize("ago", [30 * DAY, 29 * DAY, 7 * DAY, 6 * HOUR, 20 * MINUTE])
def test_the_begin_of_a_short_history_is_found(ago: int) -> None:
    """Closely enough that most of the trial has values, in a bounded number of queries."""
    asked: list[int] = []

    def answered(at: int) -> bool:
        asked.append(at)
        return at >= LAST - ago

    begin = first_value(answered, LAST - 30 * DAY, LAST, MINUTE)
    assert LAST - ago - max(MINUTE, ago) <= begin <= LAST - ago
    assert len(asked) <= ROUNDS * (PROBES + 1)


def test_without_a_value_the_whole_range_is_tried() -> None:
    """Also in a range that is too short to look into."""
    assert first_value(lambda _: False, FIRST, LAST, MINUTE) == FIRST
    assert first_value(lambda at: at >= FIRST + MINUTE, FIRST, FIRST + 2 * MINUTE, MINUTE) == FIRST


@pytest.mark.parametrize("transient", [False, True])
def test_the_begin_is_not_looked_for_on_a_server_that_fails(transient: bool) -> None:
    """144 queries could each take their whole timeout; a wrong expression fails everywhere, but only that one."""

    class Failing(Wave):
        def instant(self, *_: object) -> EventBatch:
            raise SourceError("no", reason="any", transient=transient)

    source = Failing(ModelTable())
    query = PLAN.groups[0].queries["drift"]
    if transient:
        with pytest.raises(SourceError):
            _has_values(source, query, FIRST)
    else:
        assert not _has_values(source, query, FIRST)
