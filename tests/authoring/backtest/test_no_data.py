"""A backtest in which no rule has data."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
import responses

from bridge.authoring.backtest.backtest import Backtest, Plan
from bridge.authoring.backtest.no_data import LONGEST, LOOKED_BACK, no_data
from bridge.domain.model import ModelTable
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp, parse_duration
from bridge.sources.config import PrometheusConfig
from tests.support.fake_prometheus import FakePrometheus, Labels, World, model
from tests.support.world import group, rule

URL = "http://prometheus.test"
FIRST: Timestamp = 1_700_000_000_000 // HOUR * HOUR
LAST, NOW = FIRST + 6 * HOUR, FIRST + 20 * DAY
SIGNAL = rule("Drifted")
PLAIN = rule("High", query="high", limit=None)


def plan(*rules: object, high: str = "drift{job='a'} > 0.6") -> Plan:
    """Return rules of which each queries the series `drift`. high: expression of PLAIN."""
    made = group(*rules, interval=10 * HOUR)  # type: ignore[arg-type]
    exprs = {"drift": "max by (project, pipeline, version) (drift)", "high": high}
    queries = {name: replace(query, exprs={"value": exprs[name]}) for name, query in made.queries.items()}
    return Plan((replace(made, queries=queries),), {"prometheus": PrometheusConfig(url=URL)})


def has(within: Callable[[Timestamp], bool]) -> World:
    """Return a server that has the series at some instants; no rule is breached."""

    def world(expr: str, at: int) -> list[tuple[Labels, str]]:
        if expr.startswith("max by"):
            return [(model(7), "0.1")] if within(at) else []
        return [({}, "1")] if "group(" in expr and within(at) else []

    return world


def said(world: World, *rules: object, now: Timestamp = NOW, answers_in: float = 0.0, **exprs: str) -> str:
    """Return what is said after a backtest from FIRST to LAST.

    answers_in: seconds that the server takes for one instant; if it is not 0, it refuses more instants in one answer.
    """
    made, table = plan(*rules, **exprs), ModelTable()
    clock = itertools.count(0.0, answers_in)
    with responses.RequestsMock(assert_all_requests_are_fired=False) as mocked:
        server = FakePrometheus(world, most_points=1 if answers_in else 11_000).serve(mocked)
        source = made.source(table)
        results = Backtest(made, source, table, FIRST, LAST).run()
        server.asked.clear()
        text = no_data(made, source, results, now, clock.__next__)
        source.close()
    assert not answers_in or len(server.asked) < LONGEST / answers_in + 4
    return text


@pytest.mark.parametrize("rules", [(SIGNAL,), (PLAIN,), (SIGNAL, PLAIN)])
def test_the_range_and_what_the_server_has_are_named(rules: tuple[object, ...]) -> None:
    """With what would be right."""
    assert said(has(lambda at: at >= NOW - 3 * DAY), *rules) == (
        "no rule has data from 2023-11-14T22:00:00.000Z to 2023-11-15T04:00:00.000Z. The server has their series from"
        " 2023-12-01T22:00:00.000Z to 2023-12-04T22:00:00.000Z: choose --from and --to within that time"
    )


def test_what_the_server_has_is_looked_for_at_whole_hours_and_now() -> None:
    """So that the times can be read, and series that are minutes old are found."""
    assert "from 2023-12-02T10:00:00.000Z to 2023-12-02T22:00:00.000Z" in said(
        has(lambda at: NOW - 60 * HOUR <= at < NOW - 47 * HOUR), SIGNAL, now=NOW + 7 * MINUTE
    )
    late = said(has(lambda at: at > NOW), SIGNAL, now=NOW + 7 * MINUTE)
    assert "from 2023-12-04T22:07:00.000Z to 2023-12-04T22:07:00.000Z" in late


def test_series_that_the_server_never_had_are_named() -> None:
    """Then no other range would help."""
    assert said(has(lambda _: False), SIGNAL).endswith(
        "The server has none of their series in the last year: check the expressions and the URL of the server"
    )


def test_older_series_are_not_looked_for() -> None:
    assert "in the last year" in said(has(lambda at: at < NOW - LOOKED_BACK - HOUR and not FIRST <= at <= LAST), SIGNAL)


def test_an_expression_without_a_breach_is_no_error() -> None:
    """Its series have samples in the range, however few."""
    assert said(has(lambda at: LAST - HOUR < at <= LAST), PLAIN) == ""
    assert said(has(lambda at: FIRST <= at <= LAST), SIGNAL, PLAIN) == ""


def sampled(at: Timestamp) -> World:
    """Return a server whose series have one sample; no rule is breached."""

    def world(expr: str, until: int) -> list[tuple[Labels, str]]:
        window = re.search(r"\[(\w+)\]", expr)
        length = 5 * MINUTE if window is None else parse_duration(window[1])
        return [({}, "1")] if "group(" in expr and until - length < at <= until else []

    return world


@pytest.mark.parametrize(
    ("expr", "before", "read"),
    [
        ("drift > 0.6", 4 * MINUTE, True),
        ("drift > 0.6", 20 * MINUTE, False),
        ("max_over_time(drift[1h]) > 0.6", HOUR, True),
        ("max_over_time(drift[1h:5m]) > 0.6", HOUR, True),
        ("max_over_time(drift[1h]) > 0.6", 2 * HOUR, False),
        ("drift > 1.5 * drift offset 1w", 7 * DAY, True),
    ],
)
def test_samples_that_an_evaluation_reads_may_be_older_than_the_range(expr: str, before: int, read: bool) -> None:
    """By the lookback of five minutes, by the range and by the offset of the expression."""
    text = said(sampled(FIRST - before), PLAIN, high=expr)
    assert (text == "") == read, text


def test_a_signal_without_a_result_is_without_data_whatever_its_series_have() -> None:
    """Its expression returns nothing, for example because no series has the labels that it groups by."""

    def nothing(expr: str, at: int) -> list[tuple[Labels, str]]:
        return [({}, "1")] if "group(" in expr else []

    assert said(nothing, SIGNAL).startswith("no rule has data from ")


def test_a_failed_query_leaves_it_unknown_whether_there_is_data() -> None:
    """Whether a plain expression had data is unknown then; of a signal, it is known."""

    def broken(expr: str, at: int) -> list[tuple[Labels, str]]:
        return [({"job": job}, "1") for job in "ab"] if "group(" in expr else []

    assert said(broken, PLAIN) == ""
    assert said(broken, SIGNAL).endswith("to 2023-11-15T04:00:00.000Z")


@pytest.mark.parametrize("answers_in", [10.0, 100.0])
def test_a_slow_server_is_not_queried_for_long(answers_in: float) -> None:
    """A year has thousands of hours; what is unknown then is not claimed."""
    world = has(lambda at: at >= NOW - 3 * DAY)
    assert said(world, SIGNAL, answers_in=answers_in).endswith("to 2023-11-15T04:00:00.000Z")
    assert said(world, PLAIN, answers_in=answers_in) == ""


def test_a_backtest_without_rules_lacks_no_data() -> None:
    assert said(has(lambda _: False)) == ""
