"""Histories for charts: bounded, for one model, and cached."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from bridge.domain import waits
from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import RequestError, SourceError
from bridge.domain.model import ModelKey
from bridge.domain.rule import LabelRef, ModelLabels, SignalQuery
from bridge.domain.times import DAY, SECOND
from bridge.engine.api.signal_history import POINTS, SignalHistories, grid, of_model
from tests.support.world import A, B, World, group, rule


def test_the_values_of_one_model_are_read_and_kept_for_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second reader gets the same answer without another query; an unknown rule is an error."""
    world = World(group(rule()))
    for value in (0.1, 0.2, None, 0.3):
        world.tick({A: value, B: 0.5} if value is not None else {B: 0.5})
    clock = [0.0]
    name = rule().name
    histories = SignalHistories(world.engine, lambda: world.now, lambda: clock[0])
    asked = []
    read = world.source.history

    def recorded(*args: Any) -> Iterator[EventBatch]:
        asked.append(args)
        return read(*args)

    monkeypatch.setattr(world.source, "history", recorded)
    found = histories.read(A, name, 30 * SECOND)
    assert [round(number, 6) for number in found.value if not math.isnan(number)] == [0.1, 0.2, 0.3]
    assert math.isnan(found.value[2])
    assert histories.read(A, name, 30 * SECOND) is found
    assert len(asked) == 1
    clock[0] = 61.0
    histories.read(A, name, 30 * SECOND)
    assert len(asked) == 2
    with pytest.raises(RequestError, match="there is no rule 'Other'"):
        histories.read(A, "Other", 30 * SECOND)


def test_a_failed_query_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next reader tries again, and a slow query ends."""
    world = World(group(rule()))
    world.tick({A: 0.1})
    histories = SignalHistories(world.engine, lambda: world.now)

    def broken(*_: object) -> object:
        raise SourceError("no answer", reason="network", transient=True)

    with monkeypatch.context() as patch:
        patch.setattr(world.source, "history", broken)
        with pytest.raises(SourceError):
            histories.read(A, rule().name, 10 * SECOND)
    assert len(histories.read(A, rule().name, 10 * SECOND).slots) == 2
    monkeypatch.setattr(waits, "CHART", -1.0)
    with pytest.raises(RequestError, match="choose a shorter period"):
        histories.read(A, rule().name, 20 * SECOND)


def test_no_history_has_more_than_its_points() -> None:
    """However long the period; all slots are those of the group, at equal distances."""
    one = group(rule())
    slots = grid(one, one.slot_at(100 * DAY) + 1, 30 * DAY)
    assert POINTS - 2 <= len(slots) <= POINTS + 1
    assert {after - before for before, after in pairwise(slots)} == {slots[1] - slots[0]}
    assert all(one.slot_at(slot) == slot for slot in slots)


def test_the_query_is_reduced_to_one_model() -> None:
    """A label's value is data, in the query too; constants need no condition."""
    mapping = ModelLabels(LabelRef("team"), LabelRef("model"), LabelRef(const="1"))
    query = SignalQuery("drift", EventKind.DRIFT, {"value": "a # all"}, mapping, limit=5)
    found = of_model(query, ModelKey('a"b$1', "rö", "1"))
    assert found.exprs["value"] == (
        "(\na # all\n) and on (team, model) "
        'label_replace(label_replace(vector(1), "team", "a\\"b$$1", "", ""), "model", "rö", "", "")'
    )
    constant = SignalQuery("drift", EventKind.DRIFT, {"value": "a"}, ModelLabels.constant("x"))
    assert of_model(constant, ModelKey("x", "x", "x")).exprs == {"value": "a"}
