"""Search for models: pages, words and states."""

from __future__ import annotations

import random

import numpy as np

from bridge.domain.model import ModelKey, ModelTable
from bridge.engine.api.model_search import Finder
from bridge.engine.api.model_states import STATES, UNSEEN
from bridge.engine.api.views import ModelState
from tests.engine.api.test_queries import queries, view
from tests.support.world import A, B, C, World, group, rule


def test_a_page_of_models_has_the_worst_first_and_then_by_name() -> None:
    """Whatever the order in which they were seen; the total includes other pages."""
    world = World(group(rule()))
    world.tick({C: 0.1, B: 0.7, A: 0.2})
    asked = queries(world)
    whole = asked.model_page()
    assert [item.model for item in whole.models] == [B, A, C]
    assert [item.model for item in asked.model_page(offset=1, limit=1).models] == [A]
    assert [asked.model_page(offset=start, limit=2).total for start in (0, 2, 4)] == [3, 3, 3]
    assert whole.models[1].signals == view(world, A).signals


def test_models_are_found_by_words_of_their_name_and_by_state() -> None:
    """It must contain every word, in any order and case; new models are found at once."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    asked = queries(world)
    assert asked.model_page(text="nothing").total == 0
    new = ModelKey("Bank", "Fraud", "2024-Q1")
    world.tick({A: 0.1, new: 0.9})
    assert [item.model for item in asked.model_page(text="q1  BANK").models] == [new]
    assert [item.model for item in asked.model_page(text="fraud/2024").models] == [new]
    assert asked.model_page(text="bank shop").total == 0
    assert [item.model for item in asked.model_page(states=[ModelState.HEALTHY]).models] == [A]
    assert asked.model_page(text="bank", states=[ModelState.HEALTHY]).total == 0


def test_models_that_a_rule_does_not_know_are_found() -> None:
    """Only of those that another rule has seen; an unknown rule knows none."""
    world = World(group(rule("First"), rule("Second", query="errors")))
    world.say({A: 0.1, B: 0.1}, signal="drift")
    world.tick({B: 0.1, C: 0.1}, signal="errors")
    asked = queries(world)
    for without, expected in (("First", [C]), ("Second", [A]), ("Nope", [A, B, C])):
        page = asked.model_page(without=without)
        assert (sorted(item.model for item in page.models), page.total) == (sorted(expected), len(expected))
    assert sum(asked.model_page(without="First").counts.values()) == 3


def test_one_model_is_as_it_is_among_all() -> None:
    """A model that no rule has seen is not listed."""
    world = World(group(rule()))
    world.tick({A: 0.7, B: 0.1})
    assert queries(world).model(A) == view(world, A)
    assert queries(world).model(C) is None


def test_a_page_by_name_has_what_a_filter_of_all_models_has() -> None:
    """Any combination of project, pipeline, version and state, on every page, after the table has grown (seed 1)."""
    rng = random.Random(1)
    table, finder = ModelTable(), None
    for size in (7, 40):
        while len(table) < size:
            table.row(ModelKey(rng.choice("ab"), rng.choice("pqr"), str(rng.randrange(9))))
        finder = finder or Finder(table)
        states = np.array([rng.randrange(-1, len(STATES)) for _ in range(size)], np.int8)
        for _ in range(100):
            parts = tuple(rng.choice(["", *names]) for names in ("abz", "pqr", "0123"))
            wanted = rng.sample(list(STATES), rng.randrange(3))
            matching = sorted(
                (table[row], row)
                for row in range(size)
                if states[row] != UNSEEN
                and (not wanted or STATES[states[row]] in wanted)
                and all(part in {"", own} for part, own in zip(parts, table[row].labels().values(), strict=True))
            )
            first = rng.randrange(size)
            rows, total = finder.by_name(states, parts, wanted, first, first + 5)
            assert (rows.tolist(), total) == ([row for _, row in matching][first : first + 5], len(matching))
