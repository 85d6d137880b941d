"""Backtests over a scripted history: results, resumed progress, and the report."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from bridge.authoring.backtest.backtest import Backtest, Plan, of_config, of_rules, parts
from bridge.authoring.backtest.progress import BacktestError
from bridge.authoring.backtest.recording import STEPS
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

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None) -> EventBatch:
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
    {"prometheus": PrometheusConfig(url="http://prometheus.test")},
)


def run(folder: Path | None = None, *, stop: Timestamp = 1 << 60, plan: Plan = PLAN, charts: bool = False) -> Backtest:
    table = ModelTable()
    source = Wave(table)
    source.stop = stop
    return Backtest(plan, source, table, FIRST, LAST, folder, ("then", "now"), charts=charts)


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


def test_a_server_that_answers_no_more_ends_the_run(tmp_path: Path) -> None:
    """After 20 slots; complete parts are kept, and the next run continues from there."""
    with pytest.raises(BacktestError, match="no answer for 20 consecutive slots: HTTP 503"):
        run(tmp_path, stop=FIRST + DAY).run()
    assert run(tmp_path).run() == run().run()


class Flaky(Wave):
    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: int | None = None) -> EventBatch:
        if slot == FIRST + 100 * MINUTE:
            raise SourceError("too many samples", reason="execution", transient=False)
        return super().instant(query, slot, at)


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


def test_a_configuration_gives_rules_gates_routes_and_server(tmp_path: Path) -> None:
    """With another server if given; other settings stay."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R, expr: x > 1}]}]")
    (tmp_path / "bridge.yml").write_text(
        "global: {query_timeout: 7s}\nprometheus: {url: http://a.test, max_samples: 5000}\nrule_files: [rules.yml]\n"
        "gates: {in_flight_limit: 2h}\nroute: {receiver: team}\nreceivers: [{name: team}]\n"
    )
    plan = of_config(tmp_path / "bridge.yml", "http://b.test/")
    server = plan.servers["prometheus"]
    assert (server.url, server.max_samples) == ("http://b.test", 5000)
    assert (plan.timeout, plan.gates.in_flight_limit, plan.groups[0].rules[0].name) == (7.0, 2 * HOUR, "R")
    assert of_config(tmp_path / "bridge.yml").servers["prometheus"].url == "http://a.test"
    assert of_rules([tmp_path / "rules.yml"], "http://b.test").groups == plan.groups


@pytest.mark.parametrize("url", ["ftp://a.test", "http://a:b@c.test"])
def test_an_invalid_url_is_refused(tmp_path: Path, url: str) -> None:
    """The message names the flag."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R, expr: x > 1}]}]")
    with pytest.raises(ConfigError) as caught:
        of_rules([tmp_path / "rules.yml"], url)
    assert caught.value.problems[0].file == "--prometheus.url"


def test_all_errors_of_rule_files_are_reported_at_once(tmp_path: Path) -> None:
    """All of them."""
    (tmp_path / "rules.yml").write_text("groups: [{name: g, rules: [{retrain: R}, {retrain: R, expr: ')'}]}]")
    with pytest.raises(ConfigError) as caught:
        of_rules([tmp_path / "rules.yml"], "http://b.test")
    assert len(caught.value.problems) >= 2
