"""Metrics and the log line of a tick."""

from __future__ import annotations

import logging
import re
import subprocess
from dataclasses import replace

import pytest

from bridge.app.telemetry import Telemetry, TelemetrySettingsError
from bridge.domain.errors import StoreCorruptError
from bridge.domain.model import ModelKey
from bridge.domain.request import Outcome
from bridge.domain.silence import Silence
from bridge.domain.verdict import Crossing
from bridge.engine.api.silence_views import SilencesView, SilenceView
from bridge.engine.api.views import ModelState, ModelView
from bridge.engine.evaluation.answers import Quality
from bridge.ports import AttemptReport, Delivery, QueryReport, QueueDepth, Result, TickReport
from tests.support.fake_views import AT, MODEL, NAN, FakeQueries, model_view, signal

TICK = TickReport(
    "serving", AT, 0.02, (QueryReport("drift", 0.01, 12, {"missing_label": 2}),), {"drift": 10},
    {("Drifted", "requested"): 1},
)  # fmt: skip
QUIET_TICK = TickReport("serving", AT, 0.02, (), {}, {})


TEAM = 'index="0",integration="coordinator",receiver="team"'
CALL = 'index="1",integration="webhook",receiver="on/call"'


class Page:
    """A telemetry over fakes and what its /metrics shows."""

    def __init__(self, which: str = "auto") -> None:
        self.queries = FakeQueries()
        self.telemetry = Telemetry(self.queries, which)
        rules = {"Drifted": "serving", "Slow": "serving"}
        self.telemetry.expect(rules, ["serving"], ["team/coordinator/0", "on/call/webhook/1"])

    @property
    def text(self) -> str:
        return self.telemetry.render(AT).decode()

    def samples(self, name: str) -> dict[str, str]:
        """Labels -> value of one metric."""
        found = re.findall(rf"^retrain_bridge_{name}(?:{{(.*)}})? (\S+)$", self.text, re.MULTILINE)
        return dict(found)


@pytest.fixture
def page() -> Page:
    return Page()


def promtool(text: str) -> tuple[int, str]:
    """Exit code and output of `promtool check metrics`."""
    done = subprocess.run(["promtool", "check", "metrics"], input=text.encode(), capture_output=True, check=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_the_real_promtool_finds_nothing_to_complain_of(page: Page) -> None:
    """Names, types, help, units: with every metric present and hostile label values among them."""
    page.telemetry.tick(TICK)
    page.telemetry.attempt(AttemptReport("team/coordinator/0", Delivery(Result.RETRY, "timeout"), 0.1, False, "id"))
    page.telemetry.reload(ok=True, at=AT)
    page.queries.views.append(model_view(ModelKey('a"b\\c\nd\te', "\x1b[31m\u2028é", "\r")))
    assert promtool(page.text) == (0, "")


def test_promtool_would_find_an_unescaped_label(page: Page) -> None:
    """So the test above can fail."""
    text = page.text + 'retrain_bridge_model_info{project="a"b"} 1\n'
    assert promtool(text)[0] != 0


WANTED = {
    "model_info", "model_state", "signal_value", "signal_threshold", "last_retrain_request_timestamp_seconds",
    "build_info", "models", "samples_fetched_total", "samples_skipped_total", "events_total", "decisions_total",
    "retrainings_total", "silences_unclear", "models_omitted",
    "last_evaluation_timestamp_seconds", "evaluation_duration_seconds", "evaluation_interval_seconds",
    "evaluations_missed_total", "query_duration_seconds", "query_failures_total", "server_queries_total",
    "deliveries_total",
    "delivery_failures_total", "delivery_requests_total", "delivery_duration_seconds", "outbox_pending",
    "outbox_oldest_age_seconds", "outbox_dead", "requests", "config_last_reload_successful",
    "config_last_reload_success_timestamp_seconds", "model_held", "rule_active_timestamp_seconds", "web_info",
    "rule_models", "rule_answers_total", "clock_lead_seconds", "clock_steps_total", "store_usable",
    "last_missed_episode_timestamp_seconds", "rule_models_never_judged", "runs", "runs_overdue", "requests_feedback",
    "shared_causes", "last_run_info", "signal_crossing_timestamp_seconds",
}  # fmt: skip


def test_exactly_the_documented_metrics_are_there(page: Page) -> None:
    """Ours, and those of the process; no other, and none without a type."""
    names = set(re.findall(r"^# TYPE (\S+) ", page.text, re.MULTILINE))
    ours = {name.removeprefix("retrain_bridge_") for name in names if name.startswith("retrain_bridge_")}
    assert ours == WANTED
    assert {name.partition("_")[0] for name in names} == {"retrain", "process"}
    assert set(re.findall(r"^(\w+?)(?:_bucket|_sum|_count)?[{ ]", page.text, re.MULTILINE)) <= names


def test_feedback_and_shared_causes_are_counted(page: Page) -> None:
    """Opinions by rule; causes by label, "" for those of every model."""
    assert page.samples("requests_feedback") == {
        'feedback="useful",rule="Drifted"': "2.0", 'feedback="false",rule="Drifted"': "1.0"
    }  # fmt: skip
    assert page.samples("shared_causes") == {'label="node"': "1.0", 'label=""': "0.0"}


def test_counters_begin_at_zero_for_every_rule_and_destination(page: Page) -> None:
    """increase() misses what a series begins with."""
    outcomes = {item.value for item in Outcome}
    assert page.samples("decisions_total") == {
        f'outcome="{outcome}",rule="{rule}"': "0.0" for rule in ("Drifted", "Slow") for outcome in outcomes
    }
    assert page.samples("deliveries_total") == page.samples("delivery_requests_total") == {TEAM: "0.0", CALL: "0.0"}
    assert set(page.samples("delivery_failures_total").values()) == {"0.0"}
    assert len(page.samples("delivery_failures_total")) == 2 * 16
    assert page.samples("evaluations_missed_total") == {'group="serving"': "0.0"}
    assert page.samples("events_total")['event="latency"'] == "0.0"
    assert page.samples("rule_answers_total") == {
        f'answer="{answer}",group="serving",rule="{rule}"': "0.0" for rule in ("Drifted", "Slow") for answer in Quality
    }
    assert page.samples("query_failures_total")['reason="timeout"'] == "0.0"


def test_runs_are_counted_by_state(page: Page) -> None:
    """And those that have not started in time."""
    labels = 'index="0",integration="run",receiver="team"'
    assert page.samples("runs") == {f'{labels},state="queued"': "1.0", f'{labels},state="running"': "2.0"}
    assert page.samples("runs_overdue") == {labels: "1.0"}


def test_a_tick_is_counted(page: Page) -> None:
    """Samples, what was skipped, events, decisions, time."""
    page.telemetry.tick(TICK)
    page.telemetry.tick(replace(TICK, missed=3, queries=(QueryReport("drift", 0.5, 0, {}, "timeout", "slow"),)))
    assert page.samples("samples_fetched_total") == {"": "12.0"}
    assert page.samples("samples_skipped_total")['reason="missing_label"'] == "2.0"
    assert page.samples("events_total")['event="drift"'] == "20.0"
    assert page.samples("decisions_total")['outcome="requested",rule="Drifted"'] == "2.0"
    assert page.samples("evaluations_missed_total") == {'group="serving"': "3.0"}
    assert page.samples("query_failures_total")['reason="timeout"'] == "1.0"
    assert page.samples("evaluation_duration_seconds_count") == {'group="serving"': "2.0"}
    assert page.samples("query_duration_seconds_sum") == {"": "0.51"}


def test_attempts_are_counted_by_destination_and_reason(page: Page) -> None:
    """A re-send of open alerts is an attempt, not a delivery."""
    place = "team/coordinator/0"
    for delivery in (Delivery(Result.RETRY, "http_5xx"), Delivery(Result.DEAD, "redirect"), Delivery(Result.DELIVERED)):
        page.telemetry.attempt(AttemptReport(place, delivery, 0.2, False, "id"))
    page.telemetry.attempt(AttemptReport(place, Delivery(Result.DELIVERED), 0.2, False, ""))
    assert page.samples("delivery_requests_total")[TEAM] == "4.0"
    assert page.samples("deliveries_total")[TEAM] == "1.0"
    failures = {key: value for key, value in page.samples("delivery_failures_total").items() if value != "0.0"}
    assert {re.search('reason="(.*?)"', key)[1] for key in failures} == {"http_5xx", "redirect"}  # type: ignore[index]
    assert page.samples("delivery_duration_seconds_count")[TEAM] == "4.0"


def test_a_reason_that_only_a_plugin_knows_counts_as_other(page: Page) -> None:
    """The sets of label values are closed."""
    bad = Delivery(Result.RETRY, "user 17 was not found")
    page.telemetry.attempt(AttemptReport("team/coordinator/0", bad, 0.2, False, "id"))
    page.telemetry.tick(replace(TICK, queries=(QueryReport("d", 0.1, 1, {"odd": 1}, "odd"),)))
    assert "user 17" not in page.text
    assert page.samples("query_failures_total")['reason="other"'] == "1.0"
    assert page.samples("samples_skipped_total")['reason="other"'] == "1.0"


def test_queues_requests_and_groups_are_read_at_the_scrape(page: Page) -> None:
    """Ages against the present instant, 0 for an empty queue."""
    assert page.samples("outbox_pending") == {TEAM: "1.0", CALL: "0.0"}
    assert page.samples("outbox_oldest_age_seconds") == {TEAM: "60.0", CALL: "0.0"}
    assert page.samples("outbox_dead") == {TEAM: "0.0", CALL: "2.0"}
    assert page.samples("requests")['state="requested"'] == "1.0"
    assert page.samples("requests")['state="held"'] == "0.0"
    assert page.samples("last_evaluation_timestamp_seconds") == {'group="serving"': "1.7e+09"}
    assert page.samples("evaluation_interval_seconds") == {'group="serving"': "60.0"}
    assert page.samples("rule_models") == {
        'group="serving",rule="Drifted"': "2.0", 'group="serving",rule="Mistyped"': "0.0",
    }  # fmt: skip
    assert page.samples("rule_models_never_judged") == {
        'group="serving",rule="Drifted"': "0.0", 'group="serving",rule="Mistyped"': "3.0",
    }  # fmt: skip


def test_a_clock_that_went_back_makes_no_negative_age(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """0 at least."""
    monkeypatch.setattr(page.queries, "queue_depths", lambda: {"a/b/0": QueueDepth(1, AT + 5000, 0)})
    assert list(page.samples("outbox_oldest_age_seconds").values()) == ["0.0"]


def test_a_store_that_cannot_be_read_does_not_silence_the_other_metrics(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are needed just then; the queues are left out rather than shown as empty."""

    def broken() -> None:
        raise StoreCorruptError("malformed")

    monkeypatch.setattr(page.queries, "queue_depths", broken)
    assert "outbox" not in page.text
    assert page.samples("build_info") != {}


def test_reloads_are_remembered(page: Page) -> None:
    """A failed one leaves the time of the last good one."""
    page.telemetry.reload(ok=True, at=AT)
    page.telemetry.reload(ok=False, at=AT + 60_000)
    assert page.samples("config_last_reload_successful") == {"": "0.0"}
    assert page.samples("config_last_reload_success_timestamp_seconds") == {"": "1.7e+09"}


# ---------------------------------------------------------------- series of models

KEY = 'project="shop",pipeline="ranking",version="7"'


def test_a_model_shows_its_state_value_limit_and_last_request(page: Page) -> None:
    """Value and limit carry the same labels: one panel draws both."""
    assert page.samples("model_info")[KEY] == "1"
    assert page.samples("model_state")[f'{KEY},state="retrain_requested"'] == "1"
    assert page.samples("signal_value")[f'{KEY},rule="Drifted"'] == "0.702"
    assert page.samples("signal_threshold")[f'{KEY},rule="Drifted"'] == "0.6"
    assert page.samples("signal_value").keys() == page.samples("signal_threshold").keys()
    assert page.samples("last_retrain_request_timestamp_seconds") == {f'{KEY},reason="drift"': "1700000000.0"}
    url = r"https://prefect.example/runs/\"1\""
    assert page.samples("last_run_info") == {f'{KEY},run_url="{url}"': "1"}


def test_models_are_counted_by_state_also_where_there_are_none(page: Page) -> None:
    """Every state is there."""
    counts = page.samples("models")
    assert set(counts) == {f'state="{state.value}"' for state in ModelState}
    assert {key: count for key, count in counts.items() if count != "0"} == {
        'state="healthy"': "1", 'state="retrain_requested"': "1",
    }  # fmt: skip


def test_numbers_that_are_none_are_written_as_prometheus_reads_them(page: Page) -> None:
    """A rule without a limit has no threshold series."""
    signals = [signal(NAN), signal(float("inf"), float("-inf"), rule="Slow"), signal(1.0, NAN, rule="Plain")]
    page.queries.views = [replace(model_view(), signals=signals)]
    assert page.samples("signal_value") == {
        f'{KEY},rule="Drifted"': "NaN", f'{KEY},rule="Slow"': "+Inf", f'{KEY},rule="Plain"': "1.0",
    }  # fmt: skip
    assert page.samples("signal_threshold") == {f'{KEY},rule="Drifted"': "0.6", f'{KEY},rule="Slow"': "-Inf"}


def test_a_forecast_crossing_has_two_bounds(page: Page) -> None:
    """Nothing where none is forecast."""
    assert page.samples("signal_crossing_timestamp_seconds") == {}
    page.queries.views = [replace(model_view(), signals=[signal(crossing=Crossing(0.6, AT, AT + 60_000, 0.9))])]
    assert page.samples("signal_crossing_timestamp_seconds") == {
        f'{KEY},rule="Drifted",bound="earliest"': "1700000000.0",
        f'{KEY},rule="Drifted",bound="latest"': "1700000060.0",
    }


def test_label_values_are_escaped(page: Page) -> None:
    """Backslash, quote and new line, as the text format wants them."""
    page.queries.views = [model_view(ModelKey('a"b', "c\\d", "e\nf"))]
    assert r'model_info{project="a\"b",pipeline="c\\d",version="e\nf"} 1' in page.text


def test_the_series_of_a_version_that_is_gone_go_with_it(page: Page) -> None:
    """Nothing is kept between two scrapes."""
    assert 'version="7"' in page.text
    page.queries.views = []
    assert 'version="7"' not in page.text


def fleet(size: int) -> list[ModelView]:
    healthy = [model_view(ModelKey("p", "q", str(n)), ModelState.HEALTHY) for n in range(size - 1)]
    return [*healthy, model_view(MODEL, ModelState.DEGRADED)]


@pytest.mark.parametrize(
    ("which", "size", "shown"),
    [("auto", 1000, 1000), ("auto", 1001, 1), ("all", 1001, 1001), ("unhealthy", 3, 1), ("none", 3, 0)],
)
def test_the_series_of_models_are_bounded(which: str, size: int, shown: int) -> None:
    """By default all up to 1,000 models, then only the unhealthy; the totals are always there."""
    page = Page(which)
    page.queries.views = fleet(size)
    assert len(page.samples("model_info")) == shown
    assert page.samples("models")['state="healthy"'] == str(size - 1)


def test_an_unknown_choice_is_refused() -> None:
    """With what would be right."""
    with pytest.raises(TelemetrySettingsError, match="must be one of auto, all, unhealthy, none, not 'some'"):
        Telemetry(FakeQueries(), "some")


# ---------------------------------------------------------------- log lines


def test_a_tick_in_which_something_happened_is_one_line(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """With its counts as fields; a quiet one is for debugging."""
    caplog.set_level(logging.DEBUG)
    page.telemetry.tick(TICK)
    page.telemetry.tick(QUIET_TICK)
    assert [item.levelname for item in caplog.records] == ["INFO", "DEBUG"]
    first = vars(caplog.records[0])
    assert (first["group"], first["slot"], first["samples"]) == ("serving", "2023-11-14T22:13:20.000Z", 12)
    assert (first["requested"], first["seconds"], "missed" in first) == (1, 0.02, False)


def test_an_error_is_a_warning_once_and_its_end_is_reported(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """Not at every slot of a long night."""
    caplog.set_level(logging.INFO)
    failing = replace(QUIET_TICK, errors={"Drifted": "HTTP 503"})
    for _ in range(3):
        page.telemetry.tick(failing)
    assert [(item.levelname, item.message) for item in caplog.records] == [
        ("INFO", "evaluated"), ("WARNING", "rule was not evaluated"),
    ]  # fmt: skip
    assert vars(caplog.records[1])["error"] == "HTTP 503"
    caplog.clear()
    page.telemetry.tick(QUIET_TICK)
    page.telemetry.tick(QUIET_TICK)
    (line,) = caplog.records
    assert (line.levelname, vars(line)["repaired"]) == ("INFO", "Drifted")


def test_a_new_error_beside_an_old_one_is_reported_alone(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """Log once per new fact."""
    page.telemetry.tick(replace(QUIET_TICK, errors={"Drifted": "HTTP 503"}))
    caplog.clear()
    page.telemetry.tick(replace(QUIET_TICK, errors={"Drifted": "HTTP 503", "Slow": "HTTP 400"}))
    assert [vars(item)["rule"] for item in caplog.records if item.levelname == "WARNING"] == ["Slow"]


def test_missed_slots_are_reported(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """Also when nothing else happened."""
    caplog.set_level(logging.INFO)
    page.telemetry.tick(replace(QUIET_TICK, missed=4))
    (line,) = caplog.records
    assert vars(line)["missed_slots"] == 4


def test_missed_slots_are_not_reported_as_missed_requests(page: Page, caplog: pytest.LogCaptureFixture) -> None:
    """A word of the log has one meaning: `missed` counts the decisions with this outcome, like the other outcomes."""
    caplog.set_level(logging.INFO)
    page.telemetry.tick(replace(QUIET_TICK, missed=4, decisions={("Drifted", "missed"): 1}))
    (line,) = caplog.records
    assert (vars(line)["missed_slots"], vars(line)["missed"]) == (4, 1)


def test_a_breached_rule_has_its_start_and_a_gate_its_held_requests(page: Page) -> None:
    """Only while it is so: a model that is well has neither series."""
    pending = signal(rule="Slow", state="pending", since=AT - 5_000)
    page.queries.views = [replace(model_view(), signals=[signal(state="inactive"), pending], held="cooldown")]
    assert page.samples("rule_active_timestamp_seconds") == {f'{KEY},rule="Slow",state="pending"': "1699999995.0"}
    assert page.samples("model_held") == {f'{KEY},reason="cooldown"': "1"}
    page.queries.views = [model_view()]
    assert page.samples("rule_active_timestamp_seconds") == page.samples("model_held") == {}


def test_the_address_of_the_page_is_there_for_links() -> None:
    """Without the slash at its end, so that a path can follow."""
    text = Telemetry(FakeQueries(), external_url="https://ops.example/bridge/").render(AT).decode()
    assert 'retrain_bridge_web_info{external_url="https://ops.example/bridge"} 1.0\n' in text


def test_silences_that_are_not_understood_are_counted(page: Page) -> None:
    """0 from the start."""
    assert page.samples("silences_unclear") == {"": "0.0"}
    odd = Silence("s1", (), AT, AT + 1, unclear="what?")
    page.queries.silenced = SilencesView([SilenceView(odd, [])], 1, AT, fresh=True, holds_unknown=False, failing={})
    assert page.samples("silences_unclear") == {"": "1.0"}


def test_steps_of_the_clock_are_counted_and_its_lead_is_reported() -> None:
    """By direction."""
    telemetry = Telemetry(FakeQueries(), lead=lambda: 59_500)
    for step in (-60_000, 60_000, -1000):
        telemetry.clock_set(step)
    text = telemetry.render(AT).decode()
    assert "retrain_bridge_clock_lead_seconds 59.5" in text
    assert 'retrain_bridge_clock_steps_total{direction="back"} 2.0' in text
    assert 'retrain_bridge_clock_steps_total{direction="forward"} 1.0' in text


def test_a_store_that_fails_is_a_metric() -> None:
    """1 from the start, 0 while it fails."""
    telemetry = Telemetry(FakeQueries())
    assert b"retrain_bridge_store_usable 1.0" in telemetry.render(AT)
    telemetry.store(works=False)
    assert b"retrain_bridge_store_usable 0.0" in telemetry.render(AT)
