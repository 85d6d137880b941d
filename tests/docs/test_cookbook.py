"""The cookbook shows the rule files as they are, and each has its test."""

from __future__ import annotations

import re

from bridge.config.load import load_rules
from tests.support.pages import ROOT, blocks, headings, links

PAGE = ROOT / "docs" / "cookbook.md"
FILES = sorted((ROOT / "rules" / "cookbook").glob("*.yml"))
TESTS = ROOT / "rules" / "tests" / "cookbook"


def test_the_page_shows_every_file_as_it_is() -> None:
    """Word for word, one below each heading."""
    shown = blocks(PAGE, "yaml")
    assert len(shown) == len(headings(PAGE)) - 1 == 10
    assert sorted(shown) == sorted(file.read_text() for file in FILES)


def test_every_file_and_its_test_are_linked() -> None:
    """From the page, both of them."""
    wanted = {f"../rules/cookbook/{file.name}" for file in FILES}
    wanted |= {f"../rules/tests/cookbook/{file.stem}_test.yml" for file in FILES}
    assert wanted <= set(links(PAGE))


def test_every_rule_of_the_cookbook_fires_in_its_test() -> None:
    """An alert that is expected, or a request by it."""
    for file in FILES:
        told = (TESTS / f"{file.stem}_test.yml").read_text()
        (group,) = load_rules([file])
        for rule in group.rules:
            asked = rf"rule: {rule.name}\b|alertname: {rule.name}\n    exp_alerts"
            assert re.search(asked, told), rule.name
