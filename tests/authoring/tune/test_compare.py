"""Comparison of variants on a scripted history: requests, detection and delay."""

from __future__ import annotations

from dataclasses import replace

from bridge.authoring.backtest.backtest import Plan
from bridge.authoring.tune.compare import Outcome, compare, plan_of
from bridge.authoring.tune.grid import Variant, find, grid
from bridge.authoring.tune.incidents import Window
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Cooldown, Gates, RuleKind, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp
from bridge.sources.config import PrometheusConfig
from tests.support.world import A, B, C, ScriptedSource, group, rule

FIRST = 1_700_000_000_000 // HOUR * HOUR
LAST = FIRST + 14 * DAY
GROUP = group(
    rule("Drifted", for_=5 * MINUTE, cooldown=Cooldown(HOUR)),
    rule("Told", query="late", kind=RuleKind.ALERT),
    interval=30 * MINUTE,
)


class Fortnight(ScriptedSource):
    """A drifts to 0.9 for a day from day 3 and to 0.7 from day 9; B has a blip of an hour to 0.65 every day."""

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None) -> EventBatch:
        day, hour = divmod((slot - FIRST) // HOUR, 24)
        drift = {3: 0.9, 9: 0.7}.get(day, 0.2)
        self.script[query.name, at] = {A: drift, B: 0.65 if hour == 12 else 0.2}
        return super().instant(query, slot, at)


def at(day: int, hour: int = 0) -> Timestamp:
    return FIRST + day * DAY + hour * HOUR


WINDOWS = [Window(at(3), at(4), "shop", "ranking"), Window(at(9), at(10), "shop", "ranking", "7")]


def run(variants: list[Variant], windows: list[Window] = WINDOWS, gates: Gates | None = None) -> list[Outcome]:
    plan = plan_of(Plan((GROUP,), {"prometheus": PrometheusConfig(url="http://prometheus.test")}), GROUP, variants)
    table = ModelTable()
    return compare(plan, Fortnight(table), table, variants, windows, (FIRST, LAST), gates or Gates())[0]


def drifted(**chosen: list[str]) -> list[Variant]:
    own, found = find([GROUP], "Drifted")
    return grid(own, found, {name.rstrip("_"): values for name, values in chosen.items()})


def test_limits_trade_requests_for_detection_and_delay() -> None:
    """A low limit sends a request for every blip; a high one misses the second drift; `for` keeps what lasts."""
    low, lasting, high, _ = run(drifted(limit=["0.6", "0.8"], for_=["5m", "3h"]))
    assert (len(low.requests), low.detected, low.windows) == (2 + 14, 2, 2)
    assert (len(high.requests), high.detected) == (1, 1)
    assert (len(lasting.requests), lasting.detected, lasting.delay_hours) == (2, 2, 3.0)
    assert (low.per_week, low.row()["per_week"]) == (8.0, "8.0")
    assert low.silence == ""
    short = replace(low, since=LAST - DAY)
    assert (short.per_week, short.row()["per_week"]) == (None, "-")
    assert low.row()["detected"] == "2 of 2"
    assert lasting.to_json()["median_delay_hours"] == 3.0


def test_a_pipeline_has_one_retraining_at_a_time() -> None:
    """As in a backtest: it is in flight until its episode ends, and a request that waits is withdrawn with its own."""

    class Two(ScriptedSource):
        def instant(
            self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None
        ) -> EventBatch:
            hour = (slot - FIRST) // HOUR
            values = {A: 0.9 if 10 <= hour < 20 else 0.2, C: 0.9 if 12 <= hour < 15 or 17 <= hour < 30 else 0.2}
            self.script[query.name, at] = values
            return super().instant(query, slot, at)

    variants = drifted(limit=["0.6"], for_=["5m"])
    plan = plan_of(Plan((GROUP,), {"prometheus": PrometheusConfig(url="http://prometheus.test")}), GROUP, variants)
    table = ModelTable()
    (outcome,), results = compare(plan, Two(table), table, variants, [], (FIRST, FIRST + 2 * DAY), Gates())
    assert results.slots == 97
    assert [model for model, _ in outcome.requests] == [A, C]
    assert outcome.requests[1][1] == FIRST + 20 * HOUR
    assert (outcome.windows, outcome.row()["detected"], outcome.row()["delay_hours"]) == (0, "-", "-")


def test_known_false_requests_are_counted() -> None:
    """B's blip of day 5 was called false."""
    windows = [*WINDOWS, Window(at(5, 11), at(5, 14), **B.labels(), needed=False)]
    (outcome, *_) = run(drifted(limit=["0.6"], for_=["5m"]), windows)
    assert (outcome.false, outcome.windows) == (1, 2)
