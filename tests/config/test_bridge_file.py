"""bridge.yml: budgets, the route tree, receivers."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.config.bridge_file import BridgeFile, read_bridge_file
from bridge.domain.rule import Budget
from bridge.domain.times import DAY, HOUR, SECOND
from bridge.files.yaml import Document, parse

TEXT = """
prometheus: {{url: http://localhost:9090}}
route: {{receiver: team{route}}}
receivers:
- name: team
  webhook_configs: [{{url: "http://localhost:1"}}]
- name: other{receiver}
{more}
"""

NIGHT = "time_intervals: [{name: n, time_intervals: [{weekdays: ['monday']}]}]"


def read(route: str = "", receiver: str = "", more: str = "") -> tuple[BridgeFile, list[str]]:
    text = TEXT.format(route=route and f", {route}", receiver=receiver and f"\n  {receiver}", more=more)
    document = parse(text, Document("bridge.yml"))
    file = read_bridge_file(document)
    assert file is not None
    return file, [f"{problem.path}: {problem.message}" for problem in document.problems]


@pytest.mark.parametrize(
    ("text", "budget"),
    [("2/day", Budget(2, DAY)), ("10 / 12h", Budget(10, 12 * HOUR)), ("1/week", Budget(1, 7 * DAY))],
)
def test_a_budget_is_a_number_in_a_time(text: str, budget: Budget) -> None:
    file, problems = read(more=f"gates: {{budget: {{total: {text}}}}}")
    assert (file.gates.total, problems) == (budget, [])


@pytest.mark.parametrize("text", ["2", "0/day", "2/31d", "2/0s", "many/day", "1.5/day", "7"])
def test_other_budgets_are_reported(text: str) -> None:
    _, problems = read(more=f"gates: {{budget: {{total: {text}}}}}")
    assert len(problems) == 1
    assert problems[0].startswith("gates.budget.total: ")


def test_routes_inherit_receiver_and_grouping() -> None:
    """A group wait only where there are groups."""
    routes = "group_by: [project], routes: [{matchers: ['a=\"b\"'], routes: [{receiver: other, group_wait: 5s}]}]"
    file, problems = read(route=routes)
    assert problems == []
    (child,) = file.route.routes
    (grandchild,) = child.routes
    assert (child.receiver, child.group_by, child.group_wait) == ("team", ("project",), 30 * SECOND)
    assert (grandchild.receiver, grandchild.group_by, grandchild.group_wait) == ("other", ("project",), 5 * SECOND)


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (
            {"route": "matchers: ['a=b']"},
            "route.matchers: the root route matches everything: it must not have matchers",
        ),
        ({"route": "continue: true"}, "route.continue: the root route has no sibling to continue to"),
        ({"route": "mute_time_intervals: [n]", "more": NIGHT}, "route.mute_time_intervals: the root route has no"),
        ({"route": "routes: [{receiver: othr}]"}, "route.routes[0].receiver: there is no receiver 'othr'"),
        ({"route": "routes: [{matchers: ['a']}]"}, "route.routes[0].matchers[0]: "),
        ({"route": "group_wait: 5s"}, "route.group_wait: 'group_wait' requires 'group_by'"),
        (
            {"route": "group_by: ['...', a]"},
            "route.group_by[0]: '...' means all labels, and cannot be combined with others",
        ),
        ({"route": "group_by: ['a b']"}, "route.group_by[0]: 'a b' is not a label name"),
        ({"route": "routes: [{active_time_intervals: [x]}]"}, "there is no time interval 'x'"),
        ({"receiver": "slack_configs: []"}, "'slack_configs' belongs to the configuration of Alertmanager"),
        ({"receiver": "webhok_configs: []"}, "unknown key 'webhok_configs'"),
        ({"receiver": "webhook_configs: 3"}, "receivers[1].webhook_configs: must be a list of entries, not a number"),
        ({"more": "- name: team"}, "receivers[2].name: receiver 'team' is defined twice"),
        ({"more": "- name: a/b"}, "receivers[2].name: a receiver's name must not contain '/'"),
        ({"more": "- name: 7"}, "receivers[2].name: a receiver needs a name (text)"),
        ({"more": "- 7"}, "receivers[2]: a receiver is a mapping, not a number"),
        ({"more": "global: {external_labels: {pipeline: x}}"}, "label 'pipeline' is set by the bridge itself"),
        ({"more": "gates: {shared_cause: {labels: [pipeline]}}"}, "pipeline is different for every model"),
    ],
)
def test_wrong_parts_are_reported_once(parts: dict[str, Any], problem: str) -> None:
    _, problems = read(**parts)
    assert len(problems) == 1, problems
    assert problem in problems[0]


def test_an_unreadable_receiver_makes_no_other_name_unknown() -> None:
    """One error, and not one for each route."""
    _, problems = read(route="routes: [{receiver: nope}]", more="- name: 7")
    assert problems == ["receivers[2].name: a receiver needs a name (text)"]
