"""Backtests over a scripted history: results, resumed progress, and the report."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from bridge.authoring.backtest import progress as resuming
from bridge.authoring.backtest.backtest import Backtest, Plan, of_config, of_rules, parts
from bridge.authoring.backtest.progress import BacktestError
from bridge.authoring.backtest.recording import STEPS
from bridge.authoring.backtest.spans import instant
from bridge.domain.batch import EventBatch
from bridge.domain.errors import ConfigError, SourceError
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.rule import Cooldown, Mode, RuleKind, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Timestamp
from bridge.sources.config import PrometheusConfig
from tests.support.world import QUERY_FAILED, A, B, ScriptedSource, group, rule

FIRST = 1_700_000_000_000 // HOUR * HOUR
LAST = FIRST + 3 * DAY
HOSTILE = ModelKey("shop", '<script>alert("1")</script>', "&'7'")


class Wave(ScriptedSource):
    """Each model is breached in two hours of every twelve, the hostile one six later. stop: no answer from then."""

    stop: Timestamp = 1 << 60

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        if slot >= self.stop:
            raise QUERY_FAILED
        hours = (slot - FIRST) // HOUR
        high = {A: hours % 12 in {3, 4}, HOSTILE: hours % 12 in {9, 10}, B: False}
        self.script[query.name, at] = {model: 0.7 + hours / 1000 if up else 0.2 for model, up in high.items()}
        return super().instant(query, slot, at)


PLAN = Plan(
    (
        group(
            rule("Drifted", for_=5 * MINUTE, cooldown=Cooldown(0)),
            rule("Also", query="late", for_=10 * MINUTE, mode=Mode.SHADOW),
            rule("Told", query="late", kind=RuleKind.ALERT),
            interval=5 * MINUTE,
        ),
    ),
    PrometheusConfig(url="http://prometheus.test"),
)


def run(folder: Path | None = None, *, stop: Timestamp = 1 << 60, plan: Plan = PLAN, charts: bool = False) -> Backtest:
    table = ModelTable()
    source = Wave(table)
    source.stop = stop
    return Backtest(plan, source, table, FIRST, LAST, folder, ("then", "now"), charts=charts)


def test_the_table_has_a_line_for_each_rule_and_their_sum() -> None:
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
def test_what_a_week_is_comes_from_a_week_at_least(span: int, per_week: float | None) -> None:
    """12 requests in an hour are not extrapolated to 2016 per week."""
    result = run().run()
    results = replace(result, until=result.since + span)
    assert [row["per_week"] for row in results.rows() if row["requests"] == 12] == [per_week, per_week]


def test_decisions_are_lines_in_the_order_of_time() -> None:
    """With the keys that scoring reads, and the id of the live bridge."""
    lines = [item.line() for item in run().run().sent()]
    assert lines[0] == {
        "project": "shop", "pipeline": "ranking", "version": "7", "triggered_at": "2023-11-15T01:05:00.000Z",
        "rule": "Drifted", "reason": "Drifted: drift 0.703 above 0.6 for 5m", "id": lines[0]["id"],
    }  # fmt: skip
    assert re.fullmatch("[0-9a-f]{32}", lines[0]["id"])
    assert [line["triggered_at"] for line in lines] == sorted(line["triggered_at"] for line in lines)


def test_a_request_that_a_gate_held_is_reported_at_the_time_at_which_it_would_have_gone() -> None:
    """A request held until its end is not sent; the cooldown holds both."""
    patient = replace(PLAN, groups=(group(rule("Drifted", cooldown=Cooldown(13 * HOUR)), interval=5 * MINUTE),))
    results = run(plan=patient).run()
    ours = [item for item in results.requests.values() if item.model == A]
    assert [(item.triggered_at - FIRST) // HOUR for item in ours] == [3, 15, 27, 39, 51, 63]
    assert [(item.sent_at - FIRST) // HOUR if item.sent_at else None for item in ours] == [3, 16, None, 39, 52, None]
    assert [item.hold for item in ours] == ["", "cooldown", "cooldown", "", "cooldown", "cooldown"]
    assert [row["held"] for row in results.rows()] == [4, 4]
    assert results.sent()[1].line()["triggered_at"] != ours[1].to_json()["triggered_at"]


# ---------------------------------------------------------------- progress


def interrupted(folder: Path, after: int, **more: object) -> None:
    """Run a backtest that ends after so many parts, as if killed."""
    seen = []

    def stop(at: Timestamp) -> None:
        seen.append(at)
        if len(seen) == after:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, **more).run(stop)  # type: ignore[arg-type]


@pytest.mark.parametrize("charts", [False, True])
def test_an_interrupted_run_continues_from_its_last_part(tmp_path: Path, charts: bool) -> None:
    """Three times; results and charts equal those of an uninterrupted run."""
    whole = run(charts=charts)
    expected = whole.run()
    for after in (2, 30, 40):
        interrupted(tmp_path, after, charts=charts)
    last = run(tmp_path, charts=charts)
    assert last.run() == expected
    if charts:
        assert last.recorder is not None
        assert whole.recorder is not None
        assert last.recorder.recording() == whole.recorder.recording()


def test_what_is_complete_is_not_requested_again(tmp_path: Path) -> None:
    """Only the rest is queried; nothing for a completed run."""
    interrupted(tmp_path, 40)
    test = run(tmp_path)
    test.run()
    assert isinstance(test.source, Wave)
    asked = [at for _, at in test.source.asked]
    assert min(asked) >= parts(FIRST, LAST)[39][1]
    again = run(tmp_path)
    again.run()
    assert isinstance(again.source, Wave)
    assert again.source.asked == []


def test_a_folder_of_another_backtest_is_refused(tmp_path: Path) -> None:
    """Its results belong to other rules."""
    interrupted(tmp_path, 2)
    with pytest.raises(BacktestError, match="contains a backtest with other"):
        run(tmp_path, plan=PLAN.at_step(MINUTE)).run()
    with pytest.raises(BacktestError, match="contains a backtest with other"):
        run(tmp_path, charts=True).run()


def test_damaged_progress_is_refused(tmp_path: Path) -> None:
    """It is refused, not guessed."""
    (tmp_path / "backtest.msgpack").write_bytes(b"\x00garbage")
    with pytest.raises(BacktestError, match="damaged"):
        run(tmp_path).run()


def test_a_folder_that_cannot_be_used_is_reported(tmp_path: Path) -> None:
    """As the file that it is."""
    (tmp_path / "file").write_text("")
    with pytest.raises(BacktestError, match=r"cannot read .*: Not a directory"):
        run(tmp_path / "file").run()


def test_the_span_that_was_begun_is_that_of_the_same_words(tmp_path: Path) -> None:
    """`now` keeps its meaning when the command is repeated; other words mean another range."""
    assert resuming.span(tmp_path, ("then", "now")) is None
    interrupted(tmp_path, 1)
    assert resuming.span(tmp_path, ("then", "now")) == (FIRST, LAST)
    assert resuming.span(tmp_path, ("earlier", "now")) is None


def test_a_server_that_answers_no_more_ends_the_run(tmp_path: Path) -> None:
    """After 20 slots; complete parts are kept, and the next run continues from there."""
    with pytest.raises(BacktestError, match="no answer for 20 consecutive slots: HTTP 503"):
        run(tmp_path, stop=FIRST + DAY).run()
    assert run(tmp_path).run() == run().run()


class Flaky(Wave):
    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp) -> EventBatch:
        if slot == FIRST + 100 * MINUTE:
            raise SourceError("too many samples", reason="execution", transient=False)
        return super().instant(query, slot, at)


def test_slots_that_could_not_be_evaluated_are_counted_and_reported() -> None:
    """The last message of each rule."""
    table = ModelTable()
    results = Backtest(PLAN, Flaky(table), table, FIRST, LAST).run()
    assert results.errors == dict.fromkeys(["Drifted", "Also", "Told"], "too many samples")
    assert [row["failed"] for row in results.rows()] == [1, 1, 1, 3]


def test_parts_are_of_an_hour_to_a_day() -> None:
    """Both ends are inclusive, and the parts cover the range once."""
    assert parts(0, 90 * MINUTE) == [(0, HOUR - 1), (HOUR, 90 * MINUTE)]
    assert [ends - begins + 1 for begins, ends in parts(0, 400 * DAY)][:2] == [DAY, DAY]
    result = parts(FIRST, LAST)
    assert (result[0][0], result[-1][1], len(result)) == (FIRST, LAST, 51)
    assert all(before[1] + 1 == after[0] for before, after in pairwise(result))


def test_a_recording_is_of_a_fixed_size(tmp_path: Path) -> None:
    """For any range: a fixed number of steps, with the highest and lowest value of each."""
    test = run(charts=True)
    test.run()
    assert test.recorder is not None
    index = test.table.find(A)
    line = test.recorder.line("Drifted", index or 0)
    assert line is not None
    assert line.low.shape == (STEPS,)
    assert (line.low.min(), line.high.max()) == (pytest.approx(0.2), pytest.approx(0.764))
    assert test.recorder.line("Unknown", 0) is None


# ---------------------------------------------------------------- what is asked for


def test_instants_are_written_in_many_ways() -> None:
    """RFC 3339, Unix seconds, now, and before now."""
    assert instant("2023-11-14T22:13:20Z", 5) == 1_700_000_000_000
    assert instant("1700000000.5", 5) == 1_700_000_000_500
    assert (instant("now", 5 * DAY), instant("now-1d12h", 5 * DAY)) == (5 * DAY, 3 * DAY + 12 * HOUR)


@pytest.mark.parametrize("text", ["", "yesterday", "now+1d", "now-", "2023-11-14T22:13:20", "-5", "1e9"])
def test_what_is_no_instant_is_refused(text: str) -> None:
    """The message lists the accepted formats."""
    with pytest.raises(ValueError, match="is not a time; use RFC 3339"):
        instant(text, 5)


def test_a_configuration_gives_rules_gates_routes_and_server(tmp_path: Path) -> None:
    """With another server if given; other settings stay."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R, expr: x > 1}]}]")
    (tmp_path / "bridge.yml").write_text(
        "global: {query_timeout: 7s}\nprometheus: {url: http://a.test, max_samples: 5000}\nrule_files: [rules.yml]\n"
        "gates: {in_flight_limit: 2h}\nroute: {receiver: team}\nreceivers: [{name: team}]\n"
    )
    plan = of_config(tmp_path / "bridge.yml", "http://b.test/")
    assert (plan.prometheus.url, plan.prometheus.max_samples) == ("http://b.test", 5000)
    assert (plan.timeout, plan.gates.in_flight_limit, plan.groups[0].rules[0].name) == (7.0, 2 * HOUR, "R")
    assert of_config(tmp_path / "bridge.yml").prometheus.url == "http://a.test"
    assert of_rules([tmp_path / "rules.yml"], "http://b.test").groups == plan.groups


@pytest.mark.parametrize("url", ["ftp://a.test", "http://a:b@c.test"])
def test_a_url_that_is_none_is_refused(tmp_path: Path, url: str) -> None:
    """The message names the flag."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R, expr: x > 1}]}]")
    with pytest.raises(ConfigError) as caught:
        of_rules([tmp_path / "rules.yml"], url)
    assert caught.value.problems[0].file == "--prometheus.url"


def test_mistakes_in_rule_files_are_reported_at_once(tmp_path: Path) -> None:
    """All of them."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R}, {retrain: R, expr: ')'}]}]")
    with pytest.raises(ConfigError) as caught:
        of_rules([tmp_path / "rules.yml"], "http://b.test")
    assert len(caught.value.problems) >= 2


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the disk that is full."""

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(BacktestError, match=r"cannot write to .*: No space left on device"):
        run(tmp_path).run()
