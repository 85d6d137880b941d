"""Alert life cycle over columns, compared with a reference implementation for one model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.domain.alert import AlertColumns, State, advance, apply_policies, count_breaches, rows, skip_unseen
from bridge.domain.model import ModelKey
from bridge.domain.verdict import Cause, Code

OK, BREACHED, BAND, UNKNOWN = (np.int8(code) for code in (Code.OK, Code.BREACHED, Code.BAND, Code.INCONCLUSIVE))


@dataclass
class One:
    """Reference life cycle of one model, slot by slot."""

    for_: int
    keep: int
    state: State = State.INACTIVE
    active_at: int = 0
    fired_at: int = 0
    keep_since: int = 0

    def step(self, code: Code, slot: int) -> None:
        if code is Code.INCONCLUSIVE:
            return
        if self.state is State.FIRING:
            self._firing(code, slot)
        elif code is Code.BREACHED:
            if self.state is State.INACTIVE:
                self.state, self.active_at = State.PENDING, slot
            if slot - self.active_at >= self.for_:
                self.state, self.fired_at = State.FIRING, slot
        else:
            self._clear()

    def _firing(self, code: Code, slot: int) -> None:
        if code in {Code.BREACHED, Code.BAND}:
            self.keep_since = 0
            return
        self.keep_since = self.keep_since or slot
        if slot - self.keep_since >= self.keep:
            self._clear()

    def _clear(self) -> None:
        self.state, self.active_at, self.fired_at, self.keep_since = State.INACTIVE, 0, 0, 0


CODES = st.sampled_from([Code.OK, Code.BREACHED, Code.BREACHED, Code.BAND, Code.INCONCLUSIVE])


@given(
    st.lists(st.lists(CODES, min_size=3, max_size=3), min_size=1, max_size=40),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_columns_equal_models_one_by_one(history: list[list[Code]], for_slots: int, keep_slots: int) -> None:
    """For any verdicts of three models, the columns equal the reference of each model."""
    columns = AlertColumns.empty(3)
    alone = [One(for_slots * 1000, keep_slots * 1000) for _ in range(3)]
    for number, codes in enumerate(history):
        slot = 1_000_000 + number * 1000
        advance(columns, np.array(codes, np.int8), slot, for_=for_slots * 1000, keep=keep_slots * 1000)
        for one, code in zip(alone, codes, strict=True):
            one.step(code, slot)
        held = zip(columns.state, columns.active_at, columns.fired_at, columns.keep_since, strict=True)
        assert [tuple(int(x) for x in row) for row in held] == [
            (one.state, one.active_at, one.fired_at, one.keep_since) for one in alone
        ]


def run(codes: list[np.int8], *, for_: int = 0, keep: int = 0) -> list[str]:
    """Return the states of one model after each slot, one second apart."""
    columns, states = AlertColumns.empty(1), []
    for number, code in enumerate(codes):
        advance(columns, np.array([code]), 10_000 + number * 1000, for_=for_, keep=keep)
        states.append(State(columns.state[0]).name.lower())
    return states


def test_without_for_a_rule_fires_at_the_first_breach() -> None:
    """`for: 0` needs no second evaluation."""
    assert run([OK, BREACHED, OK]) == ["inactive", "firing", "inactive"]


def test_for_counts_from_the_first_breach_and_one_healthy_slot_resets_it() -> None:
    """for: 2s with one slot a second fires at the third breach in a row."""
    breaches = [BREACHED, BREACHED, OK, BREACHED, BREACHED, BREACHED]
    assert run(breaches, for_=2000) == ["pending", "pending", "inactive", "pending", "pending", "firing"]


def test_keep_firing_for_outlives_short_recoveries() -> None:
    """A new breach within keep_firing_for continues the same firing and restarts the timer."""
    codes = [BREACHED, OK, BREACHED, OK, OK, OK]
    assert run(codes, keep=2000) == ["firing", "firing", "firing", "firing", "firing", "inactive"]


def test_the_band_keeps_firing_and_starts_nothing() -> None:
    """Hysteresis: between clear and the limit, a firing rule keeps firing and an inactive one stays inactive."""
    assert run([BAND, BREACHED, BAND, BAND, OK, BAND]) == [
        "inactive", "firing", "firing", "firing", "inactive", "inactive",
    ]  # fmt: skip


def test_not_knowing_changes_nothing() -> None:
    """Inconclusive slots neither resolve nor reset nor fire."""
    codes = [UNKNOWN, BREACHED, UNKNOWN, BREACHED, UNKNOWN, UNKNOWN, OK]
    assert run(codes, for_=2000) == ["inactive", "pending", "pending", "firing", "firing", "firing", "inactive"]


def test_moves_name_what_changed() -> None:
    """One slot: one model becomes pending, one fires, one resolves, one is reset; each is named once."""
    columns = AlertColumns.empty(5)
    advance(columns, np.array([OK, BREACHED, BREACHED, BREACHED, OK]), 1000, for_=2000, keep=0)
    columns.state[2], columns.fired_at[2] = State.FIRING, 1000
    moves = advance(columns, np.array([BREACHED, BREACHED, OK, OK, OK]), 3000, for_=2000, keep=0)
    named = [part.tolist() for part in (moves.pending, moves.fired, moves.resolved, moves.reset, moves.touched)]
    assert named == [[0], [1], [2], [3], [0, 1, 2, 3]]


def test_policies_turn_not_knowing_into_a_verdict() -> None:
    """`fire` and `ok` decide only their own cause; `keep` decides nothing."""
    code = np.array([UNKNOWN, UNKNOWN, UNKNOWN, OK])
    cause = np.array([Cause.NO_DATA, Cause.STALE, Cause.NAN, Cause.NONE], np.int8)
    policies, known = {Cause.NO_DATA: "ok", Cause.STALE: "fire", Cause.NAN: "keep"}, np.ones(4, np.bool_)
    decided = apply_policies(code, cause, policies, known)
    assert decided.tolist() == [Code.OK, Code.BREACHED, Code.INCONCLUSIVE, Code.OK]


def test_no_policy_decides_of_a_model_that_the_rule_never_saw() -> None:
    """`query_error: fire` must not fire for models of other rules."""
    code, cause = np.array([UNKNOWN, UNKNOWN]), np.array([Cause.QUERY_ERROR, Cause.QUERY_ERROR], np.int8)
    decided = apply_policies(code, cause, {Cause.QUERY_ERROR: "fire"}, np.array([True, False]))
    assert decided.tolist() == [Code.BREACHED, Code.INCONCLUSIVE]


def test_time_that_was_never_evaluated_counts_towards_nothing() -> None:
    """A rule pending for 1 s of 2 s still needs 1 s after an hour without evaluations."""
    columns = AlertColumns.empty(1)
    advance(columns, np.array([BREACHED]), 1000, for_=2000, keep=0)
    skip_unseen(columns, 3_600_000)
    advance(columns, np.array([BREACHED]), 3_602_000, for_=2000, keep=0)
    assert columns.state[0] == State.PENDING
    advance(columns, np.array([BREACHED]), 3_603_000, for_=2000, keep=0)
    assert columns.state[0] == State.FIRING


def test_rows_carry_the_columns_of_the_models_requested() -> None:
    """The rows hold everything that a restart needs."""
    columns, models = AlertColumns.empty(2), [ModelKey("a", "b", "1"), ModelKey("a", "b", "2")]
    advance(columns, np.array([OK, BREACHED]), 5000, for_=0, keep=0)
    (row,) = rows(columns, np.array([1]), "Rule", "f1", models)
    assert (row.model, row.state, row.active_at, row.fired_at) == (models[1], State.FIRING, 5000, 5000)


INSTANTS = ("active_at", "fired_at", "keep_since", "recent")
ALL = np.arange(3)
CODES_OF_THREE = np.array([BREACHED, OK, UNKNOWN])


def firing() -> AlertColumns:
    columns = AlertColumns.empty(3)
    advance(columns, CODES_OF_THREE, 10, for_=0, keep=5)
    return columns


def test_a_copy_shares_the_instants_while_nothing_changes() -> None:
    """A slot in which all stays as it is copies a byte of each model, and not 33."""
    before = firing()
    after = before.copy()
    advance(after, CODES_OF_THREE, 20, for_=0, keep=5)
    assert all(getattr(after, name) is getattr(before, name) for name in INSTANTS)
    assert after.state is not before.state


@pytest.mark.parametrize(
    "change",
    [
        lambda columns: advance(columns, np.array([OK, BREACHED, UNKNOWN]), 20, for_=0, keep=5),
        lambda columns: advance(columns, np.array([OK, BREACHED, BREACHED]), 20, for_=0, keep=5),
        lambda columns: count_breaches(columns, CODES_OF_THREE, 1, 3),
        lambda columns: skip_unseen(columns, 7),
        lambda columns: columns.clear(ALL[:1]),
        lambda columns: columns.put(ALL[:1], AlertColumns.empty(1)),
    ],
)
def test_a_change_of_a_copy_leaves_the_original(change: Callable[[AlertColumns], object]) -> None:
    """Whatever changes it, and the copy of a copy too."""
    before, expected = firing(), firing()
    for columns in (before.copy(), before.copy().copy()):
        change(columns)
        columns.grow(5)
    assert all(np.array_equal(getattr(before, name), getattr(expected, name)) for name in ("state", *INSTANTS))
