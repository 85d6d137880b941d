"""Changes of signals around retrainings, read over the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bridge.authoring.impact.differences import Change
from bridge.cli import signal_changes
from bridge.cli.signal_changes import Changes

NOW = datetime(2026, 3, 1, tzinfo=UTC)
START = NOW - timedelta(days=2)


def text(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def request(**more: Any) -> dict[str, Any]:
    evidence = [{"rule": "Drifted", "value": 0.9, "statistic": 0.9, "threshold": 0.6}]
    return {
        "project": "shop", "pipeline": "ranking", "version": "7", "rule": "Drifted", "state": "succeeded",
        "new_version": "8", "triggered_at": text(START), "sent_at": text(START), "evidence": evidence,
        "ended_at": text(START + timedelta(hours=1)),
    } | more  # fmt: skip


def about(before: float, after: float) -> Change:
    return Change(pytest.approx(before), pytest.approx(after))  # type: ignore[arg-type]  # compared as numbers


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Histories that were asked for: 0.9 before a retraining, 0.3 after it; siblings stay at 0.3."""
    calls: list[dict[str, Any]] = []

    def get(_url: str, _config: Path | None, path: str, parameters: dict[str, Any]) -> Any:
        if path == "models":
            names = (("ranking", "8"), ("search", "2"), ("ads", "1"))
            return {"models": [{"project": "shop", "pipeline": name, "version": version} for name, version in names]}
        calls.append(parameters)
        return {"value": [0.9, None, 0.9] if parameters["version"] == "7" else [0.3, 0.3]}

    monkeypatch.setattr(signal_changes, "get", get)
    return calls


def test_a_retrained_model_is_compared_with_siblings_that_were_not(asked: list[dict[str, Any]]) -> None:
    """Before, its old version; after, the new one; a pipeline that was requested at that time is no sibling."""
    other = request(pipeline="ads", version="1", state="failed")
    found = list(Changes("", None, NOW).treated([request(), other]))
    assert found == [(about(1.5, 0.5), [about(0.5, 0.5)])]
    assert [(item["pipeline"], item["version"], item["until"]) for item in asked[:2]] == [
        ("ranking", "7", "2026-02-27T00:00:00Z"), ("ranking", "8", "2026-02-27T07:05:00Z"),
    ]  # fmt: skip


def test_what_cannot_be_compared_is_left_out(asked: list[dict[str, Any]]) -> None:
    """A retraining that ended just now, a rule without a limit, and a limit on a statistic."""
    recent = request(ended_at=text(NOW - timedelta(hours=1)))
    without = request(evidence=[{"rule": "Drifted", "value": 0.9, "statistic": None, "threshold": None}])
    apart = request(evidence=[{"rule": "Drifted", "value": 0.9, "statistic": 30.0, "threshold": 20.0}])
    assert list(Changes("", None, NOW).treated([recent, without, apart, request(state="failed")])) == []
    assert asked == []


def test_a_breach_that_a_gate_held_is_a_time_without_a_retraining(asked: list[dict[str, Any]]) -> None:
    """The same version before and after."""
    held = request(sent_at=None, state="withdrawn", new_version="")
    assert list(Changes("", None, NOW).untreated([held, request()])) == [about(1.5, 1.5)]
