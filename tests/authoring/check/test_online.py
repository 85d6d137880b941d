"""Checks of a configuration against a Prometheus that is simulated. tests/integration has a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from bridge.authoring.check import online
from bridge.authoring.check.online import ask_prometheus
from bridge.domain.errors import ConfigError, Problem, SourceError
from bridge.domain.model import ModelTable
from tests.support.world import A, ScriptedSource

NOW = 1_700_000_000_000
CONFIG = """
prometheus: {url: http://localhost:1}
global: {query_offset: 0s}
rule_files: [rules.yml]
route: {receiver: team}
receivers: [{name: team, log_configs: [{}]}]
"""
RULES = """
groups:
- name: g
  signals: {s: {event: custom, expr: EXPR}}
  rules: [{retrain: R, signal: s, strategy: {threshold: {max: 1}}}]
"""


class Source(ScriptedSource):
    """Scripted source with metrics and labels. refuses: reason with which every expression is refused."""

    metrics: ClassVar[list[str]] = ["drift_score"]
    labels: ClassVar[list[str]] = ["project", "pipeline", "version"]
    unreachable = False
    refuses = ""
    closed = False

    def metric_names(self) -> list[str]:
        if self.unreachable:
            raise SourceError("Connection refused", reason="network", transient=True)
        return self.metrics

    def label_names(self) -> list[str]:
        return self.labels

    def of(self, name: str) -> Source:
        return self

    def evaluate(self, expr: str, at: int, server: str = "") -> list[Any]:
        if self.refuses:
            raise SourceError("refused", reason=self.refuses, transient=False)
        return []

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> Source:
    made = Source(ModelTable())
    made.script["s", NOW] = {A: 0.5}
    monkeypatch.setattr(online, "PrometheusServers", lambda *_, **__: made)
    return made


def ask(folder: Path, expr: str = "drift_score", **more: Any) -> list[Problem]:
    (folder / "bridge.yml").write_text(CONFIG)
    (folder / "rules.yml").write_text(RULES.replace("EXPR", expr))
    return ask_prometheus(folder / "bridge.yml", NOW, **more)


def test_an_expression_with_samples_is_right(tmp_path: Path, source: Source) -> None:
    """The connection is closed; doubts are added on request."""
    assert ask(tmp_path) == []
    assert source.closed
    doubt = Problem("rules.yml", 1, "R", "odd", "", "lint")
    assert ask(tmp_path, doubts=lambda *_: [doubt]) == [doubt]


def test_unknown_names_get_suggestions(tmp_path: Path, source: Source) -> None:
    """Nothing else is said of an expression with an unknown metric."""
    (problem,) = ask(tmp_path, "drift_scor")
    assert (problem.message, problem.hint) == (
        "Prometheus has no metric 'drift_scor'", "did you mean 'drift_score'?",
    )  # fmt: skip
    (problem,) = ask(tmp_path, "something_else")
    assert problem.hint == ""


def test_a_metric_that_may_be_absent_is_no_error(tmp_path: Path, source: Source) -> None:
    assert ask(tmp_path, "absent(other_metric)") == []


def test_a_signal_without_a_sample_is_a_warning(tmp_path: Path, source: Source) -> None:
    source.script.clear()
    (problem,) = ask(tmp_path)
    assert (problem.lint, problem.message) == ("no-sample", "signal 's' has no sample for any model now")


def test_a_partial_answer_is_a_warning(tmp_path: Path, source: Source) -> None:
    source.partial = True
    (problem,) = ask(tmp_path)
    assert problem.lint == "partial-answer"
    assert "partial: truncated; until that ends, rule 'R' is inconclusive" in problem.message


def test_a_failed_query_is_a_problem_of_its_rule(tmp_path: Path, source: Source) -> None:
    source.down = SourceError("too many samples", reason="execution", transient=True)
    (problem,) = ask(tmp_path)
    assert (Path(problem.file).name, problem.path, "too many samples" in problem.message) == ("rules.yml", "R", True)


def test_an_unreachable_server_is_one_problem(tmp_path: Path, source: Source) -> None:
    source.unreachable = True
    (problem,) = ask(tmp_path)
    assert (problem.path, "Connection refused" in problem.message, source.closed) == ("prometheus.url", True, True)


def test_an_invalid_configuration_sends_no_query(tmp_path: Path, source: Source) -> None:
    (tmp_path / "bridge.yml").write_text("{}")
    with pytest.raises(ConfigError):
        ask_prometheus(tmp_path / "bridge.yml", NOW)
    assert source.asked == []
