"""What was last logged of a rule, across restarts."""

from __future__ import annotations

import pytest

from bridge.domain.errors import StoreError
from bridge.ports import StateChunk
from tests.support.failing_store import FailingStore
from tests.support.world import QUERY_FAILED, A, World, group, rule

NAME = "Drifted#logged"


def stored(made: World) -> dict[str, StateChunk]:
    return {chunk.rule: chunk for chunk in made.store.load(0).state}


def test_failures_are_counted_across_a_restart() -> None:
    """The end of the failures is logged with their number, and the chunk is deleted."""
    made = World(group(rule()))
    made.tick({A: 0.1})
    assert NAME not in stored(made)
    made.tick(QUERY_FAILED)
    made.restart()
    assert made.rule("Drifted").health == "err"
    made.tick(QUERY_FAILED)
    made.restart()
    made.tick({A: 0.1})
    assert [(item.before, item.after, item.repeats) for item in made.decisions()] == [
        ("ok", "err", 0),
        ("err", "ok", 2),
    ]
    assert NAME not in stored(made)


def test_what_is_over_is_deleted_although_the_first_commit_fails() -> None:
    """A restart would count the failures on."""
    store = FailingStore()
    made = World(group(rule()), store=store)
    made.tick(QUERY_FAILED)
    assert NAME in stored(made)
    store.refuses = True
    with pytest.raises(StoreError):
        made.tick({A: 0.1})
    store.refuses = False
    made.tick({A: 0.1})
    assert NAME not in stored(made)
