"""Pages of the alerts of a running engine."""

from __future__ import annotations

import pytest

from bridge.engine.api import queries as queries_module
from tests.engine.api.test_queries import queries
from tests.support.world import A, B, C, World, group, rule


def test_alerts_of_all_rules_have_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the alerts of the page are made; each alert is on one page, in the order of the rules."""
    world = World(group(rule(), rule("Errors")))
    world.tick({A: 0.7, B: 0.7, C: 0.1})
    every = list(queries(world).alerts().alerts)
    assert [(item.rule, item.model) for item in every] == [
        ("Drifted", A), ("Drifted", B), ("Errors", A), ("Errors", B),
    ]  # fmt: skip
    made = list[int]()
    monkeypatch.setattr(queries_module, "_alert_view", lambda _, row: made.append(row))
    for offset, limit, rows in ((0, 1, [0]), (1, 2, [1, 0]), (3, 5, [1]), (4, 1, []), (9, None, []), (2, None, [0, 1])):
        made.clear()
        page = queries(world).alerts(offset=offset, limit=limit)
        assert (page.total, len(list(page.alerts)), made) == (4, len(rows), rows)


def test_the_engine_may_evaluate_while_alerts_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few alerts are made at a time; one that has ended meanwhile is left out."""
    monkeypatch.setattr(queries_module, "PORTION", 2)
    world = World(group(rule(), rule("Errors")))
    world.tick({A: 0.7, B: 0.7, C: 0.7})
    alerts = queries(world).alerts(rule="Errors").alerts
    assert next(alerts).model == A
    reads, read = list[int](), world.engine.read
    monkeypatch.setattr(world.engine, "read", lambda: (reads.append(1), read())[1])  # type: ignore[func-returns-value]
    world.tick({A: 0.1, B: 0.1, C: 0.1})
    reads.clear()
    assert [item.model for item in alerts] == [B], "made before the tick"
    assert len(reads) == 1
