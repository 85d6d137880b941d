"""Run of one test: expectations at their instants. The source is scripted; tests/integration has a Prometheus."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.authoring.unit_tests import case
from bridge.authoring.unit_tests.case import AHEAD, RuleTestRun
from bridge.authoring.unit_tests.file import read_unit_test_file
from bridge.domain.batch import EventBatch
from bridge.domain.rule import Rule, SignalQuery
from bridge.domain.times import DAY, MINUTE
from tests.support.world import QUERY_FAILED, A, B, ScriptedSource, group, rule

LABELS = '{project: shop, pipeline: ranking, version: "7"}'


class Source(ScriptedSource):
    """A is breached from minute 2 on; the query fails at minute 4. A series of another signal has no model."""

    lacking = frozenset({("drift", "version")})

    def instant(self, query: SignalQuery, slot: int, at: int, retry_for: int | None = None) -> EventBatch:
        minute = at // MINUTE
        self.script[query.name, at] = QUERY_FAILED if minute == 4 else {A: 0.9 if minute >= 2 else 0.1, B: 0.1}
        return super().instant(query, slot, at)

    def close(self) -> None:
        """Do nothing."""


def failures(folder: Path, monkeypatch: pytest.MonkeyPatch, test: str, *rules: Rule) -> list[str]:
    """Return what a test of one rule with this text says."""
    text = f"rule_files: []\nevaluation_interval: 1m\ntests:\n- {test}\n"
    (folder / "tests.yml").write_text(text)
    monkeypatch.setattr(case, "PrometheusSource", lambda _, table, *__: Source(table))
    one = group(*(rules or (rule(),)), interval=MINUTE)
    run = RuleTestRun(read_unit_test_file(folder / "tests.yml"), 0, (one,), "http://p")
    return [f"{item.line}: {item.text}" for item in run.failures()]


def test_a_failed_test_names_the_labels_that_its_series_must_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A test that passes needs no hint."""
    monkeypatch.setattr(case, "PrometheusSource", lambda _, table, *__: Source(table))
    notes = []
    for minute in ("1m", "3m"):
        text = f"rule_files: []\nevaluation_interval: 1m\ntests:\n- {requests(at=minute)}\n"
        (tmp_path / "tests.yml").write_text(text)
        run = RuleTestRun(read_unit_test_file(tmp_path / "tests.yml"), 0, (group(rule(), interval=MINUTE),), "http://p")
        list(run.failures())
        notes.append(run.notes)
    note = (
        "series of drift without the label version were skipped; models are read from the labels project: project,"
        " pipeline: pipeline, version: version (to change that, set models or --config.file)"
    )
    assert notes == [set(), {note}]


def requests(*items: str, at: str = "3m") -> str:
    return f"retrain_rule_test: [{{eval_time: {at}, exp_requests: [{', '.join(items)}]}}]"


def test_an_expected_request_is_matched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the keys that are given; times count from the beginning of the test."""
    wanted = "{rule: Drifted, project: shop, pipeline: ranking, triggered_at: 2m}"
    assert failures(tmp_path, monkeypatch, requests(wanted)) == []
    assert failures(tmp_path, monkeypatch, requests(at="1m")) == []


@pytest.mark.parametrize("wanted", ["", "{rule: Drifted, triggered_at: 3m}", "{rule: Drifted, version: '8'}"])
def test_other_requests_are_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: str) -> None:
    found = failures(tmp_path, monkeypatch, requests(*([wanted] if wanted else [])))
    assert len(found) == 1
    assert "requests up to 3m" in found[0]


def test_firing_alerts_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With all labels but the name."""
    alert = f"alert_rule_test: [{{eval_time: 3m, alertname: Drifted, exp_alerts: [{{exp_labels: {LABELS}}}]}}]"
    assert failures(tmp_path, monkeypatch, alert) == []
    (text,) = failures(tmp_path, monkeypatch, alert.replace("3m", "1m"))
    assert "alerts of Drifted at 1m" in text


def test_decisions_of_an_instant_are_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decision = "retrain_rule_test: [{eval_time: 2m, exp_decisions: [{rule: Drifted, outcome: requested}]}]"
    assert failures(tmp_path, monkeypatch, decision) == []
    (text,) = failures(tmp_path, monkeypatch, decision.replace("2m", "90s"))
    assert "no rule is evaluated at 1m30s: group g is every 1m" in text


def test_an_unknown_rule_gets_a_suggestion(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = failures(tmp_path, monkeypatch, requests("{rule: Drifed}"))
    assert "there is no rule 'Drifed' in the rule files (did you mean 'Drifted'?)" in text


def test_a_failed_evaluation_is_a_failure_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With its time."""
    found = failures(tmp_path, monkeypatch, requests("{rule: Drifted}", at="6m"))
    assert len(found) == 1
    assert found[0].startswith("4: at 4m rule Drifted was not evaluated: HTTP 503")


def test_a_test_at_the_epoch_is_evaluated_later() -> None:
    """By whole cycles of the calendar: weekdays and month ends stay."""
    assert AHEAD % (7 * DAY) == 0
    begins, later = (datetime.fromtimestamp(at / 1000, UTC) for at in (0, AHEAD))
    assert (later.month, later.weekday()) == (begins.month, begins.weekday())
