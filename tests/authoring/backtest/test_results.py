"""Results of a backtest: tables, lines, and counts."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from bridge.authoring.backtest.backtest import Backtest
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Cooldown, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp
from tests.authoring.backtest.test_backtest import FIRST, LAST, PLAN, Flaky, run
from tests.support.world import A, ScriptedSource, group, rule


def test_the_table_has_a_row_for_each_rule_and_a_total() -> None:
    """Two models, six breaches each; a shadow rule and an alert fire without requests."""
    results = run().run()
    rows = list(results.rows())
    assert [(row["rule"], row["kind"], row["fired"], row["requests"], row["models"]) for row in rows] == [
        ("Drifted", "retrain", 12, 12, 2), ("Also", "shadow", 12, 0, 2), ("Told", "alert", 12, 0, 2),
        ("", "", 36, 12, 2),
    ]  # fmt: skip
    assert results.slots == 3 * 24 * 12 + 1
    assert results.rules["Told"].notified == 12


@pytest.mark.parametrize(("span", "per_week"), [(HOUR, None), (7 * DAY - 1, None), (7 * DAY, 12.0), (14 * DAY, 6.0)])
def test_a_rate_per_week_needs_a_week(span: int, per_week: float | None) -> None:
    """12 requests in an hour are not extrapolated to 2016 per week."""
    result = run().run()
    results = replace(result, until=result.since + span)
    assert [row["per_week"] for row in results.rows() if row["requests"] == 12] == [per_week, per_week]


def test_decision_lines_are_in_order_of_time() -> None:
    """With the keys that scoring reads, and the id of the live bridge."""
    lines = [item.line() for item in run().run().sent()]
    assert lines[0] == {
        "project": "shop", "pipeline": "ranking", "version": "7", "triggered_at": "2023-11-15T01:05:00.000Z",
        "rule": "Drifted", "reason": "Drifted: drift 0.703 above 0.6 for 5m", "id": lines[0]["id"],
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{32}", lines[0]["id"])
    assert [line["triggered_at"] for line in lines] == sorted(line["triggered_at"] for line in lines)


def test_a_held_request_is_reported_when_it_would_have_been_sent() -> None:
    """A request held until its end is not sent; the cooldown holds both."""
    patient = replace(PLAN, groups=(group(rule("Drifted", cooldown=Cooldown(13 * HOUR)), interval=5 * MINUTE),))
    results = run(plan=patient).run()
    ours = [item for item in results.requests.values() if item.model == A]
    assert [(item.triggered_at - FIRST) // HOUR for item in ours] == [3, 15, 27, 39, 51, 63]
    assert [(item.sent_at - FIRST) // HOUR if item.sent_at else None for item in ours] == [3, 16, None, 39, 52, None]
    assert [item.hold for item in ours] == ["", "cooldown", "cooldown", "", "cooldown", "cooldown"]
    assert [row["held"] for row in results.rows()] == [4, 4]
    assert results.sent()[1].line()["triggered_at"] != ours[1].to_json()["triggered_at"]


def test_a_rule_whose_queries_had_no_result_is_named() -> None:
    """A signal without a sample is without data; an expression may also have had no breach."""
    plain = rule("Plain", query="none", limit=None)
    plan = replace(PLAN, groups=(group(rule("Drifted"), rule("Empty", query="none"), plain, interval=HOUR),))
    table = ModelTable()

    class Half(ScriptedSource):
        def instant(
            self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None
        ) -> EventBatch:
            self.script[query.name, at] = {A: 0.2} if query.name == "drift" else {}
            return super().instant(query, slot, at)

    assert Backtest(plan, Half(table), table, FIRST, LAST).run().silences() == {
        "Empty": "no data in this range", "Plain": "its expression returned nothing in this range",
    }  # fmt: skip


def test_failed_slots_are_counted_and_reported() -> None:
    """The last message of each rule."""
    table = ModelTable()
    results = Backtest(PLAN, Flaky(table), table, FIRST, LAST).run()
    assert results.errors == dict.fromkeys(["Drifted", "Also", "Told"], "too many samples")
    assert [row["failed"] for row in results.rows()] == [1, 1, 1, 3]
