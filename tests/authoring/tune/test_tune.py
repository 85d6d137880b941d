"""Comparison of settings: the grid, labels, and requests against detection on a scripted history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.authoring.backtest.backtest import Plan
from bridge.authoring.tune.compare import Outcome, compare, plan_of
from bridge.authoring.tune.grid import MOST_VARIANTS, TuneError, Variant, find, grid
from bridge.authoring.tune.incidents import Window, of_feedback, read_annotations, read_csv
from bridge.authoring.tune.report import page, scatter
from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import Cooldown, Gates, Mode, RuleKind, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp, rfc3339
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

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        day, hour = divmod((slot - FIRST) // HOUR, 24)
        drift = {3: 0.9, 9: 0.7}.get(day, 0.2)
        self.script[query.name, at] = {A: drift, B: 0.65 if hour == 12 else 0.2}
        return super().instant(query, slot, at)


def at(day: int, hour: int = 0) -> Timestamp:
    return FIRST + day * DAY + hour * HOUR


WINDOWS = [Window(at(3), at(4), "shop", "ranking"), Window(at(9), at(10), "shop", "ranking", "7")]


def run(variants: list[Variant], windows: list[Window] = WINDOWS, gates: Gates | None = None) -> list[Outcome]:
    plan = plan_of(Plan((GROUP,), PrometheusConfig(url="http://prometheus.test")), GROUP, variants)
    table = ModelTable()
    return compare(plan, Fortnight(table), table, variants, windows, (FIRST, LAST), gates or Gates())


def drifted(**chosen: list[str]) -> list[Variant]:
    own, found = find([GROUP], "Drifted")
    return grid(own, found, {name.rstrip("_"): values for name, values in chosen.items()})


def test_the_grid_is_every_combination_and_the_rule_as_it_is() -> None:
    """The rule's own settings come first and once; the variants are shadow rules of their own names."""
    variants = drifted(limit=["0.6", "0.8"], for_=["5m", "2h"])
    assert [item.text for item in variants] == [
        "variant=as it is limit=0.6 for=5m", "limit=0.6 for=2h", "limit=0.8 for=5m", "limit=0.8 for=2h"
    ]  # fmt: skip
    assert len({item.rule.name for item in variants}) == 4
    assert {item.rule.mode for item in variants} == {Mode.SHADOW}
    limits = [item.rule.strategy.params["max"] for item in variants if item.rule.strategy]
    assert limits == [0.6, 0.6, 0.8, 0.8]


def test_without_values_the_own_limit_is_varied() -> None:
    """From half to twice."""
    assert [item.settings["limit"] for item in drifted()] == ["0.6", "0.3", "0.45", "0.75", "0.9", "1.2"]


def test_strategies_have_only_their_own_parameters() -> None:
    """`limit` stands for `max` of threshold; auto has none and is listed once."""
    variants = drifted(strategy=["threshold", "auto"], limit=["0.6", "0.7"])
    assert [item.text for item in variants] == [
        "variant=as it is strategy=threshold limit=0.6 for=5m", "strategy=threshold limit=0.7 for=5m",
        "strategy=auto for=5m",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("chosen", "problem"),
    [
        ({"limit": ["much"]}, "threshold limit=much: must be a number, not text"),
        ({"for": ["soon"]}, "for: "),
        ({"strategy": ["guess"]}, "unknown strategy 'guess'; known are: "),
        ({"halflife": ["1d"]}, "no strategy of threshold has the parameter 'halflife'"),
        ({"limit": [str(number) for number in range(MOST_VARIANTS + 1)]}, f"more than {MOST_VARIANTS} combinations"),
    ],
)
def test_what_cannot_be_compared_is_said(chosen: dict[str, list[str]], problem: str) -> None:
    """Before anything is queried."""
    own, found = find([GROUP], "Drifted")
    with pytest.raises(TuneError, match=problem):
        grid(own, found, chosen)


def test_only_retrain_rules_are_tuned() -> None:
    """An unknown name lists the known ones."""
    with pytest.raises(TuneError, match="Told is not a retrain rule on one signal"):
        find([GROUP], "Told")
    with pytest.raises(TuneError, match="there is no rule 'Gone'; known are: Drifted"):
        find([GROUP], "Gone")
    plain = group(rule("Plain", limit=None))
    with pytest.raises(TuneError, match="Plain has no limit to vary"):
        grid(*find([plain], "Plain"), {})
    with pytest.raises(TuneError, match="Plain has no strategy, and therefore no parameter 'limit'"):
        grid(*find([plain], "Plain"), {"limit": ["1"]})


def test_requests_are_weighed_against_detection_and_delay() -> None:
    """A low limit sends a request for every blip; a high one misses the second drift; `for` keeps what lasts."""
    low, lasting, high, _ = run(drifted(limit=["0.6", "0.8"], for_=["5m", "3h"]))
    assert (len(low.requests), low.detected, low.windows) == (2 + 14, 2, 2)
    assert (len(high.requests), high.detected) == (1, 1)
    assert (len(lasting.requests), lasting.detected, lasting.delay_hours) == (2, 2, 3.0)
    assert low.per_week == 8.0
    assert low.row()["detected"] == "2 of 2"
    assert lasting.to_json()["median_delay_hours"] == 3.0


def test_a_pipeline_has_one_retraining_at_a_time() -> None:
    """As in a backtest: it is in flight until its episode ends, and a request that waits is withdrawn with its own."""

    class Two(ScriptedSource):
        def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
            hour = (slot - FIRST) // HOUR
            values = {A: 0.9 if 10 <= hour < 20 else 0.2, C: 0.9 if 12 <= hour < 15 or 17 <= hour < 30 else 0.2}
            self.script[query.name, at] = values
            return super().instant(query, slot, at)

    variants = drifted(limit=["0.6"], for_=["5m"])
    plan = plan_of(Plan((GROUP,), PrometheusConfig(url="http://prometheus.test")), GROUP, variants)
    table = ModelTable()
    (outcome,) = compare(plan, Two(table), table, variants, [], (FIRST, FIRST + 2 * DAY), Gates())
    assert [model for model, _ in outcome.requests] == [A, C]
    assert outcome.requests[1][1] == FIRST + 20 * HOUR
    assert (outcome.windows, outcome.row()["detected"], outcome.row()["delay_hours"]) == (0, "-", "-")


def test_known_false_requests_are_counted() -> None:
    """B's blip of day 5 was called false."""
    windows = [*WINDOWS, Window(at(5, 11), at(5, 14), *B.labels().values(), needed=False)]
    (outcome, *_) = run(drifted(limit=["0.6"], for_=["5m"]), windows)
    assert (outcome.false, outcome.windows) == (1, 2)


def test_incidents_are_read_from_csv(tmp_path: Path) -> None:
    """Model columns may be missing or empty: any model then."""
    file = tmp_path / "incidents.csv"
    file.write_text("project,pipeline,start,end\nshop,ranking,2023-11-14T00:00:00Z,2023-11-15T00:00:00Z\n,,10,20\n")
    one, other = read_csv(file, 0)
    assert one.about(A)
    assert not one.about(B)
    assert other.covers(B, 15_000)
    assert not other.covers(B, 21_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("begin,end\n1,2\n", ":1: the header needs start and end"),
        ("start,end\n1,soon\n", ":2: 'soon' is not a time"),
        ("start,end\n1,\n", ":2: '' is not a time"),
        ("start,end\n1,2\n30,20\n", ":3: the end is before the start"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, text: str, problem: str) -> None:
    """With its number."""
    file = tmp_path / "incidents.csv"
    file.write_text(text)
    with pytest.raises(TuneError, match=problem):
        read_csv(file, 0)
    with pytest.raises(TuneError, match="cannot read"):
        read_csv(tmp_path / "none.csv", 0)


def test_annotations_of_grafana_name_the_model_in_tags(tmp_path: Path) -> None:
    """`key=value` and `key:value`; other tags say nothing. A point in time has no length."""
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps([
        {"time": 10, "timeEnd": 20, "tags": ["pipeline=ranking", "project:shop", "outage"], "text": "x"},
        {"time": 30, "timeEnd": 0},
    ]))  # fmt: skip
    one, other = read_annotations(file)
    assert (one.project, one.pipeline, one.start, one.end) == ("shop", "ranking", 10, 20)
    assert (other.about(B), other.start, other.end) == (True, 30, 30)
    for wrong in ("{}x", "[3]", '{"a": 1}', '[{"tags": []}]'):
        file.write_text(wrong)
        with pytest.raises(TuneError, match="does not hold annotations"):
            read_annotations(file)


def test_feedback_is_a_label() -> None:
    """Useful, late and false requests of the rule; others do not count."""

    def request(opinion: str | None, name: str = "Drifted") -> dict[str, object]:
        return {
            **A.labels(), "rule": name, "feedback": opinion, "episode_start": rfc3339(at(3)),
            "triggered_at": rfc3339(at(3, 1)), "ended_at": rfc3339(at(3, 5)),
        }  # fmt: skip

    useful, late, false = of_feedback(
        [request("useful"), request(None), request("late"), request("false", "Other"), request("false")], "Drifted"
    )
    hour = HOUR
    assert (useful.start, useful.end, useful.needed) == (at(3) - hour, at(3, 5), True)
    assert (late.start, late.end, late.needed) == (at(3) - hour, at(3), True)
    assert (false.start, false.end, false.needed) == (at(3) - hour, at(3, 1), False)


def test_the_report_has_a_chart_of_each_measure() -> None:
    """With labels; without, only the table."""
    outcomes = run(drifted(limit=["0.6", "0.8"]))
    text = page("<Drifted>", outcomes)
    assert text.count("<svg") == 2
    assert "&lt;Drifted&gt;" in text
    assert "<Drifted>" not in text
    assert page("Drifted", run(drifted(limit=["0.6"]), [])).count("<svg") == 0
    assert scatter([(1.0, None), (2.0, 50.0)], "x", "y").count("<circle") == 1
