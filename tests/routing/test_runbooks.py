"""The alerts about the bridge: each has its page, and each is tested."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from tests.support.pages import ROOT, headings

RULES = sorted((ROOT / "rules").glob("prometheus-*.yml"))
PAGES = ROOT / "docs" / "runbooks"


def alerts() -> dict[str, dict[str, Any]]:
    """Name -> rule, of every shipped file for Prometheus."""
    rules = [rule for file in RULES for group in yaml.safe_load(file.read_text())["groups"] for rule in group["rules"]]
    return {rule["alert"]: rule for rule in rules if "alert" in rule}


def unpaged(pages: Path) -> set[str]:
    """Alerts without a page, and pages without an alert."""
    return set(alerts()) ^ {page.stem for page in pages.iterdir()}


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    """And says where it is; the page says what it means, what to do, and when it is over."""
    assert len(alerts()) >= 12
    assert unpaged(PAGES) == set()
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"https://docs.example.org/retrain-bridge/runbooks/{name}/"
        assert rule["annotations"]["summary"]
        assert len(rule["annotations"]["description"]) > 20
        assert rule["labels"]["severity"] in {"critical", "warning", "none"}
        assert headings(PAGES / f"{name}.md") == [name, "What it means", "What to do", "When it resolves"]


def test_a_page_that_is_missing_or_left_over_would_be_found(tmp_path: Path) -> None:
    """One alert less, one page more."""
    for name in [*alerts(), "Gone"][1:]:
        (tmp_path / f"{name}.md").touch()
    assert unpaged(tmp_path) == {next(iter(alerts())), "Gone"}


def test_every_alert_is_tested_with_promtool_both_ways() -> None:
    """It fires in one place of the tests, and does not in another."""
    fires, quiet = set[str](), set[str]()
    for file in (ROOT / "rules" / "tests" / "promtool").glob("*.yml"):
        for test in yaml.safe_load(file.read_text())["tests"]:
            for check in test.get("alert_rule_test", []):
                (fires if check.get("exp_alerts") else quiet).add(check["alertname"])
    assert fires == quiet == set(alerts())


def test_rules_name_only_metrics_that_there_are() -> None:
    """docs/metrics.md has them all."""
    known = set(headings(ROOT / "docs" / "metrics.md"))
    used = {name for file in RULES for name in re.findall(r"\b(retrain_bridge_\w+)", _exprs(file))}
    assert len(used) >= 10
    assert used - known == set()


def _exprs(file: Path) -> str:
    groups = yaml.safe_load(file.read_text())["groups"]
    return "\n".join(rule["expr"] for group in groups for rule in group["rules"])
