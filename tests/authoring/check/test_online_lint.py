"""Warnings that need a Prometheus, over given facts. tests/integration has them on a real server."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from bridge.authoring.check import online_lint
from bridge.config.load import load
from bridge.domain.errors import Problem
from bridge.domain.model import ModelKey
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import MINUTE, SECOND
from bridge.sources.prometheus import PrometheusSource
from tests.support.world import A, B

CONFIG = """
prometheus: {url: http://localhost:1}
rule_files: [rules.yml]
route: {receiver: team}
receivers: [{name: team, log_configs: [{}]}]
"""


@dataclass
class Facts:
    """Facts as given: extremes of every signal, time between samples, models."""

    extremes: tuple[float, float] | None = (0.2, 0.8)
    every: int = 15 * SECOND
    missing: set[str] = field(default_factory=set)
    seen: set[ModelKey] = field(default_factory=lambda: {A})
    present: set[ModelKey] = field(default_factory=lambda: {A})

    number: int = 1

    def number_of_models(self, query: SignalQuery, offset: int) -> int:
        return self.number

    def measured(self, query: SignalQuery, offset: int) -> tuple[float, float] | None:
        return self.extremes

    def knows(self, metric: str) -> bool:
        return True

    def is_there(self, selector: str) -> bool:
        return selector not in self.missing

    def spacing(self, metric: str) -> int:
        return self.every

    def models(self, selector: str, mapping: ModelLabels) -> set[ModelKey]:
        return self.present if selector.startswith("{") else set()


def lints(folder: Path, monkeypatch: pytest.MonkeyPatch, facts: Facts, signal: str, rule: str) -> dict[str, str]:
    """Return lint -> message of the doubts about one rule."""
    return {item.lint: item.message for item in problems(folder, monkeypatch, facts, signal, rule)}


def problems(folder: Path, monkeypatch: pytest.MonkeyPatch, facts: Facts, signal: str, rule: str) -> list[Problem]:
    """Return the doubts about one rule."""
    (folder / "bridge.yml").write_text(CONFIG)
    text = f"groups:\n- name: g\n  signals: {{s: {{{signal}}}}}\n  rules: [{{retrain: R, {rule}}}]\n"
    (folder / "rules.yml").write_text(text)
    monkeypatch.setattr(online_lint, "PrometheusFacts", lambda *_: facts)
    monkeypatch.setattr(online_lint, "never_judged", lambda *_: [B] if "auto" in rule else [])
    monkeypatch.setattr(online_lint, "sibling_labels", lambda *_: [])
    return online_lint.doubts(load(folder / "bridge.yml"), cast("PrometheusSource", None), 0)


DRIFT = "event: custom, expr: d"
HISTOGRAM = "event: latency, unit: seconds, buckets: 'increase(b[5m])', reference: 'increase(b[1h])'"
COUNTS = "event: inference_error, errors: e, total: n"
E_VALUES = "signal: s, strategy: {error_e_process: {p0: 0.01, alpha: 0.001}}, fdr: 0.05"
LIMIT = "signal: s, strategy: {threshold: {max: 0.6}}"


@pytest.mark.parametrize(
    ("changes", "signal", "rule", "lint", "message"),
    [
        ({}, DRIFT, LIMIT, "", ""),
        ({"extremes": (0.7, 0.8)}, DRIFT, LIMIT, "always-breached", "never below 0.7 in the last 1d, but max is 0.6"),
        ({"extremes": (0.6 * (1 + 1e-15), 0.8)}, DRIFT, LIMIT, "", ""),  # `increase` rounds
        ({"extremes": (0.1, 0.6 * (1 - 1e-15))}, DRIFT, "signal: s, strategy: {threshold: {min: 0.6}}", "", ""),
        ({"extremes": (0.001, 0.002)}, DRIFT, LIMIT, "far-from-measured", "never above 0.002 in the last 1d"),
        ({"extremes": None}, DRIFT, LIMIT, "", ""),
        (
            {"extremes": (0.1, 0.2)}, DRIFT, "signal: s, strategy: {threshold: {min: 0.6}}", "always-breached",
            "never above 0.2 in the last 1d, but min is 0.6",
        ),
        (
            {"extremes": (0.1, 0.9)}, "event: latency, unit: milliseconds, expr: d", LIMIT, "unit-of-values",
            "never above 0.9 milliseconds",
        ),
        (
            {"extremes": (90, 900)}, "event: latency, unit: seconds, expr: d",
            "signal: s, strategy: {threshold: {max: 800}}", "unit-of-values", "never below 90 seconds",
        ),
        ({"missing": {"d"}}, DRIFT, LIMIT, "no-series", "no series matches d in the last 1d"),
        ({"every": 5 * MINUTE}, DRIFT, f"{LIMIT}, for: 1m", "shorter-than-scrape", "for (1m) is shorter"),
        (
            {"every": 5 * MINUTE}, "event: custom, expr: 'rate(d[1m])'", LIMIT, "empty-windows",
            "the range [1m] is shorter than the time between two samples of d (5m)",
        ),
        ({"present": {A, B}}, DRIFT, LIMIT, "uncovered-model", "no rule has samples of shop/search/2"),
        ({}, DRIFT, "signal: s, strategy: auto", "never-judged", "auto would never have evaluated shop/search/2"),
        (
            {"every": 2 * MINUTE}, HISTOGRAM, "signal: s, strategy: {psi: {}}", "few-scrapes",
            "holds fewer than 4 scrapes, 2m apart",
        ),
        ({"number": 50}, COUNTS, E_VALUES, "", ""),  # 1 / alpha is just m / fdr
        (
            {"number": 51}, COUNTS, E_VALUES, "alpha-too-large",
            "with alpha 0.001 and fdr 0.05, no model is breached unless 2 fail together; s has 51 models",
        ),
        ({"number": 1_000}, COUNTS, E_VALUES, "alpha-too-large", "unless 20 fail together; s has 1,000 models"),
        ({"number": 1_000}, COUNTS, E_VALUES.replace("0.001", "0.00005"), "", ""),
        ({"number": 1_000}, COUNTS, E_VALUES.replace(", fdr: 0.05", ""), "", ""),
        ({"number": 1_000}, HISTOGRAM, "signal: s, strategy: {psi: {}}, fdr: 0.05", "", ""),  # p-values, no e-values
        ({"number": 0}, COUNTS, E_VALUES, "", ""),
    ],
)  # fmt: skip
def test_each_suspicious_setting_has_one_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], signal: str, rule: str, lint: str,
    message: str,
) -> None:  # fmt: skip
    found = lints(tmp_path, monkeypatch, Facts(**changes), signal, rule)
    assert list(found) == ([lint] if lint else [])
    assert message in found.get(lint, "")


def test_many_models_are_summed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    more = {ModelKey("shop", f"p{number}", "1") for number in range(5)}
    found = lints(tmp_path, monkeypatch, Facts(present=more), DRIFT, LIMIT)
    assert found["uncovered-model"].endswith("shop/p0/1, shop/p1/1, shop/p2/1 and 2 more")


@pytest.mark.parametrize(("number", "alpha"), [(1_000, "0.00005"), (3_000, "0.00001"), (60, "0.0008")])
def test_the_alpha_that_is_suggested_is_rounded_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, alpha: str
) -> None:
    """So that it gives no warning itself."""
    (found,) = problems(tmp_path, monkeypatch, Facts(number=number), COUNTS, E_VALUES)
    assert found.hint == f"for one model to be breached alone, set alpha to {alpha} or less"
    assert problems(tmp_path, monkeypatch, Facts(number=number), COUNTS, E_VALUES.replace("0.001", alpha)) == []
