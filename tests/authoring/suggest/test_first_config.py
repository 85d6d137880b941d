"""First configuration for a Prometheus. tests/integration runs `init` on a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
import yaml

from bridge.authoring.suggest import first_config as module
from bridge.authoring.suggest.candidates import Candidate
from bridge.authoring.suggest.first_config import FirstConfig, first_config
from bridge.authoring.suggest.suggest import Suggestion
from bridge.config.load import load
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.sources.prometheus import PrometheusSource
from tests.support.world import A, ScriptedSource

NOW = 1_700_000_000_000
FAILED = SourceError("cut off", reason="timeout", transient=True)
CANDIDATE = Candidate("churn_drift", "drift", "max by (project, pipeline, version) (churn_drift)", labelled=True)


class Source(ScriptedSource):
    """Scripted source with times of samples and Alertmanagers."""

    def __init__(self) -> None:
        super().__init__(ModelTable())
        self.times: list[int] | SourceError = []
        self.receivers: list[str] | SourceError = []

    def sample_times(self, metric: str, span: int, now: int) -> list[int]:
        if isinstance(self.times, SourceError):
            raise self.times
        return self.times

    def alertmanagers(self) -> list[str]:
        if isinstance(self.receivers, SourceError):
            raise self.receivers
        return self.receivers


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    """A Prometheus with one drift metric."""
    made = Source()
    made.script["churn_drift", NOW] = {A: 0.5}
    monkeypatch.setattr(module, "suggest", lambda *_, **__: Suggestion(9, candidates=(CANDIDATE,), notes=("a note",)))
    return made


def made(source: Source, **more: Any) -> FirstConfig:
    return first_config(cast("PrometheusSource", source), "http://p:9090", NOW, **more)


def test_the_files_are_valid_and_request_nothing(source: Source, tmp_path: Path) -> None:
    """Dry runs, until the user has looked."""
    found = made(source, http={"basic_auth": {"username": "ada", "password": "x"}})
    for name, text in found.files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    config = load(tmp_path / "bridge.yml")
    assert [rule.name for group in config.groups for rule in group.rules] == ["ChurnDriftUnusual"]
    values = yaml.safe_load(found.files["bridge.yml"])
    assert (values["dry_run"], values["prometheus"]["basic_auth"]["username"]) == (True, "ada")
    assert values["rule_files"] == ["rules/metrics.yml"]


@pytest.mark.parametrize(
    ("times", "interval"),
    [
        ([0, 30_000, 60_000], "30s"), ([0, 1000, 2000], "15s"), ([0, 300_000], "1m"), ([0], "1m"), ([], "1m"),
        ([0, 30_100, 59_900], "30s"), (FAILED, "1m"),
    ],
)  # fmt: skip
def test_the_interval_fits_the_scrapes(source: Source, times: list[int] | SourceError, interval: str) -> None:
    """Between 15 seconds and a minute; a minute where it is unknown."""
    source.times = times
    assert yaml.safe_load(made(source).files["bridge.yml"])["global"]["evaluation_interval"] == interval


def test_alertmanagers_of_prometheus_are_receivers(source: Source) -> None:
    source.receivers = ["http://am:9093"]
    found = made(source)
    (receiver,) = yaml.safe_load(found.files["bridge.yml"])["receivers"]
    assert receiver["alertmanager_configs"] == [{"url": "http://am:9093"}]
    assert found.notes == ("a note",)


@pytest.mark.parametrize(
    ("receivers", "why"),
    [([], "Prometheus names no Alertmanager"), (FAILED, "cannot ask Prometheus for its Alertmanagers (cut off)")],
)
def test_without_alertmanagers_there_is_a_note(source: Source, receivers: list[str] | SourceError, why: str) -> None:
    source.receivers = receivers
    found = made(source)
    assert "alertmanager_configs" not in yaml.safe_load(found.files["bridge.yml"])["receivers"][0]
    assert found.notes == (
        "a note", f"{why}: `alert:` rules notify nobody until you add alertmanager_configs"
    )  # fmt: skip


def test_a_metric_whose_query_failed_is_noted(source: Source) -> None:
    """Also if no other metric has a rule."""
    source.script["churn_drift", NOW] = FAILED
    found = made(source)
    assert found.files == {}
    assert found.notes == ("a note", "no rule for churn_drift: its query failed (cut off)")


def test_without_a_rule_there_is_no_file(source: Source) -> None:
    source.script.clear()
    found = made(source)
    assert (found.files, found.rules, found.notes) == ({}, (), ("a note",))
