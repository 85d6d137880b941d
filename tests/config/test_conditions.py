"""Rules over several signals: conditions, how many must hold, and what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bridge.config.conditions import read_conditions
from bridge.domain.batch import EventKind
from bridge.domain.rule import Condition, SignalQuery
from bridge.files.yaml import Document, parse

LIMIT = "strategy: {threshold: {max: 1}}"
FIRST, SECOND = f"{{signal: drift, {LIMIT}}}", f"{{signal: errors, {LIMIT}}}"


def query(name: str) -> SignalQuery:
    return SignalQuery(name, EventKind.CUSTOM, {"value": "x"})


@dataclass
class Group:
    """Signals of the group: errors has no rule of its own."""

    signals: frozenset[str] = frozenset({"drift", "errors"})
    judged: frozenset[str] = frozenset({"drift"})
    queries: dict[str, SignalQuery | None] = field(
        default_factory=lambda: {"drift": query("drift"), "errors": query("errors")}
    )


def read(text: str) -> tuple[tuple[Condition, ...], int, list[str]]:
    document = parse(text, Document("a.yml"))
    conditions, count = read_conditions(document.value, Group(), document, ())
    return conditions, count, [str(problem).partition(": ")[2] for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (f"all: [{FIRST}, {SECOND}]", 2),
        (f"any: [{FIRST}, {SECOND}]", 1),
        (f"at_least: {{count: 2, of: [{FIRST}, {SECOND}, {FIRST}]}}", 2),
    ],
)
def test_the_number_of_conditions_that_must_hold(text: str, count: int) -> None:
    conditions, found, problems = read(text)
    assert (found, problems) == (count, [])
    assert [item.query for item in conditions][:2] == ["drift", "errors"]
    assert all(item.strategy is not None and item.strategy.name == "threshold" for item in conditions)


def test_a_signal_may_have_to_be_healthy() -> None:
    """Without a strategy, by the rules on it."""
    conditions, _, problems = read(f"all: [{{signal: drift, healthy: true}}, {SECOND}]")
    assert problems == []
    assert (conditions[0].healthy, conditions[0].strategy, conditions[1].healthy) == (True, None, False)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"all: [{FIRST}]", "all: must be a list of at least two conditions"),
        ("any: drift", "any: must be a list of at least two conditions"),
        (f"at_least: {{count: 3, of: [{FIRST}, {SECOND}]}}", "at_least.count: there are only 2 conditions"),
        (f"at_least: {{count: 0, of: [{FIRST}, {SECOND}]}}", "at_least.count: must be at least 1"),
        (f"at_least: {{of: [{FIRST}, {SECOND}]}}", "key 'count' is missing"),
        (f"all: [{{signal: drft, {LIMIT}}}, {SECOND}]", "all[0].signal: there is no signal 'drft' in this group (did"),
        (f"all: [{{signal: drift}}, {SECOND}]", "all[0]: a condition has a 'strategy', or 'healthy: true', or both"),
        (f"all: [{{signal: errors, healthy: true}}, {FIRST}]", "no rule of this group says when signal 'errors' is"),
        (f"all: [{{signal: drift, strategy: nope}}, {SECOND}]", "all[0].strategy"),
        (f"all: [7, {SECOND}]", "all[0]: must be a mapping, not a number"),
    ],
)
def test_wrong_conditions_are_reported(text: str, message: str) -> None:
    _, _, problems = read(text)
    assert len(problems) == 1
    assert message in problems[0]
