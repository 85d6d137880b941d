"""The cookbook shows the rule files as they are, and each has its test."""

from __future__ import annotations

import re

import numpy as np

from bridge.config.load import load_rules
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.times import HOUR
from bridge.domain.verdict import Code
from bridge.engine.evaluation.judge import judge
from bridge.strategies.registry import build
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


def test_the_rule_for_many_models_finds_one_of_a_thousand() -> None:
    """It fails twice as often as accepted, and the others half as often."""
    (group,) = load_rules([ROOT / "rules" / "cookbook" / "many-models.yml"])
    (rule,) = group.rules
    assert rule.strategy is not None
    strategy, table, start = build(rule.strategy), ModelTable(), 1_700_000_100_000
    index = np.array([table.row(ModelKey("shop", str(number), "1")) for number in range(1_000)], np.int32)
    state, found = strategy.new_state(len(index)), set()
    for slot in range(start, start + 4 * HOUR, group.interval):
        errors = np.full(len(index), 1.0)
        errors[0] = 4
        columns = {"errors": errors, "total": np.full(len(index), 200.0)}
        batch = EventBatch("failures", EventKind.INFERENCE_ERROR, slot, table, index, columns)
        verdicts = judge(strategy, batch, state, rule, group.queries[rule.query], np.ones(len(index), np.int64))
        found.update(np.flatnonzero(verdicts.code == Code.BREACHED).tolist())
    assert found == {0}
