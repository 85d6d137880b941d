"""Alert life cycle of a rule over all its models: `for`, `keep_firing_for`, hysteresis. Pure functions over columns.

As in Prometheus, `for: 0` fires at the first breach, one healthy slot while pending resets the alert, and `for` and
`keep_firing_for` compare slot times, never the clock. Two additions: a `band` verdict (between `clear` and the limit)
keeps a firing rule firing but starts nothing, and an inconclusive verdict leaves the state unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Int8

Instants = NDArray[np.int64]
Positions = NDArray[np.int64]


_NO_ROWS = np.zeros(0, np.int64)


class State(IntEnum):
    """Alert state of a rule for one model; int8 in columns."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2


class AlertRow(msgspec.Struct, frozen=True, gc=False):
    """Stored state of one rule for one model; an inactive alert has no row. Instants in ms, 0 = not set."""

    rule: str
    fingerprint: str
    model: ModelKey
    state: State
    active_at: Timestamp
    fired_at: Timestamp
    keep_since: Timestamp
    recent: int = 0

    @property
    def blank(self) -> bool:
        """True if the row holds nothing to restore: inactive, and no recent breaches."""
        return not self.state and not self.recent


_STATES = tuple(State)


@dataclass(slots=True)
class AlertColumns:
    """Alert state of one rule for every model, one row per model. All columns have the shape (n,).

    state: int8, a `State`.
    active_at, fired_at, keep_since: int64, instants in ms, 0 = not set.
    recent: int64, one bit for each of the last conclusive slots, the lowest bit is the latest; set = breached. Used
        only by rules with `breaches`.
    """

    state: Int8
    active_at: Instants
    fired_at: Instants
    keep_since: Instants
    recent: Instants

    @staticmethod
    def empty(size: int = 0) -> AlertColumns:
        """Return columns for `size` inactive models."""
        return AlertColumns(np.zeros(size, np.int8), *(np.zeros(size, np.int64) for _ in range(4)))

    def grow(self, size: int) -> None:
        """Extend the columns to `size` rows; new rows are inactive."""
        more = size - len(self.state)
        if more > 0:
            self.state = np.concatenate([self.state, np.zeros(more, np.int8)])
            self.active_at = np.concatenate([self.active_at, np.zeros(more, np.int64)])
            self.fired_at = np.concatenate([self.fired_at, np.zeros(more, np.int64)])
            self.keep_since = np.concatenate([self.keep_since, np.zeros(more, np.int64)])
            self.recent = np.concatenate([self.recent, np.zeros(more, np.int64)])

    def copy(self) -> AlertColumns:
        """Return a copy, which shares all but `state` until `own`: most slots change none of it."""
        shared = (self.active_at, self.fired_at, self.keep_since, self.recent)
        for column in shared:
            column.setflags(write=False)
        return AlertColumns(self.state.copy(), *shared)

    def own(self) -> None:
        """Replace the columns that are shared with another copy, so that they may be changed."""
        if not self.active_at.flags.writeable:
            self.active_at, self.fired_at, self.keep_since = (
                column.copy() for column in (self.active_at, self.fired_at, self.keep_since)
            )
        if not self.recent.flags.writeable:
            self.recent = self.recent.copy()

    def part(self, which: Positions) -> AlertColumns:
        """Return a copy of the given rows, without `recent`."""
        instants = (self.active_at[which], self.fired_at[which], self.keep_since[which])
        return AlertColumns(self.state[which], *instants, _NO_ROWS)

    def put(self, which: Positions, part: AlertColumns) -> None:
        """Write a copy made by `part` back to the given rows."""
        self.own()
        self.state[which] = part.state
        self.active_at[which], self.fired_at[which] = part.active_at, part.fired_at
        self.keep_since[which] = part.keep_since

    def clear(self, which: Positions) -> None:
        """Reset the given rows to inactive."""
        self.own()
        self.state[which] = State.INACTIVE
        for instants in (self.active_at, self.fired_at, self.keep_since, self.recent):
            instants[which] = 0


@dataclass(frozen=True, slots=True)
class Moves:
    """Rows whose state one `advance` changed, by kind of transition.

    touched: every row whose stored state changed, including changes that are not transitions.
    """

    pending: Positions
    fired: Positions
    resolved: Positions
    reset: Positions
    touched: Positions


_MOVES = ("pending", "fired", "resolved", "reset", "touched")
_SETTLED = np.array([State.INACTIVE, State.FIRING], np.int8)
NO_MOVES = Moves(*(np.zeros(0, np.int64) for _ in range(5)))


def apply_policies(code: Int8, cause: Int8, policies: Mapping[Cause, str], known: NDArray[np.bool_]) -> Int8:
    """Return the codes after applying the rule's policy for each cause of an inconclusive verdict.

    `ok` and `fire` replace the code; every other policy leaves it.

    known: bool (n,), models that the rule has seen. Policies apply to these only.
    """
    decided = code
    for wanted, policy in policies.items():
        if policy in {"ok", "fire"}:
            hit = known & (code == Code.INCONCLUSIVE) & (cause == wanted)
            decided = np.where(hit, Code.OK if policy == "ok" else Code.BREACHED, decided).astype(np.int8)
    return decided


def count_breaches(columns: AlertColumns, code: Int8, at_least: int, of: int) -> Int8:
    """Return the codes under N of M, and shift this slot into `columns.recent`.

    A model is breached if at least `at_least` of its last `of` conclusive slots were. An inconclusive slot is not
    counted
    and stays inconclusive.
    """
    columns.own()
    known, breached = code != Code.INCONCLUSIVE, code == Code.BREACHED
    window = (1 << of) - 1
    columns.recent[known] = (columns.recent[known] << 1 | breached[known]) & window
    enough = np.bitwise_count(columns.recent) >= at_least
    decided = np.where(enough, np.int8(Code.BREACHED), np.where(code == Code.BAND, code, np.int8(Code.OK)))
    return np.where(known, decided, code).astype(np.int8)


def advance(columns: AlertColumns, code: Int8, slot: Timestamp, *, for_: Duration, keep: Duration) -> Moves:
    """Advance every model's alert state by one slot, in place, and return the transitions.

    code: int8 (n,), one verdict code per row of `columns`.
    """
    state = columns.state
    if not columns.keep_since.any() and np.array_equal(state, _SETTLED[(code == Code.BREACHED).view(np.int8)]):
        return NO_MOVES  # exactly the breached models are firing, so nothing changes
    some = np.flatnonzero((state != State.INACTIVE) | (code == Code.BREACHED))  # no other row can change
    if len(some) == len(state):
        columns.own()
        return _moved(columns, code, slot, for_, keep)
    chosen = columns.part(some)
    moves = _moved(chosen, code[some], slot, for_, keep)
    columns.put(some, chosen)
    return Moves(*(some[getattr(moves, name)] for name in _MOVES))


def _moved(columns: AlertColumns, code: Int8, slot: Timestamp, for_: Duration, keep: Duration) -> Moves:
    """Advance all rows of `columns`, without the shortcuts of `advance`."""
    state = columns.state
    firing, pending, inactive = state == State.FIRING, state == State.PENDING, state == State.INACTIVE
    breached, known = code == Code.BREACHED, code != Code.INCONCLUSIVE
    starts = inactive & breached
    columns.active_at[starts] = slot
    waited = (starts | (pending & breached)) & (slot - columns.active_at >= for_)
    reset = pending & known & ~breached
    held = firing & (breached | (code == Code.BAND))
    rekept = held & (columns.keep_since != 0)
    quiet = firing & (code == Code.OK)
    newly_quiet = quiet & (columns.keep_since == 0)
    columns.keep_since[newly_quiet] = slot
    resolved = quiet & (slot - columns.keep_since >= keep)
    state[starts] = State.PENDING
    state[waited] = State.FIRING
    columns.fired_at[waited] = slot
    columns.keep_since[rekept] = 0
    ended = reset | resolved
    state[ended] = State.INACTIVE
    for instants in (columns.active_at, columns.fired_at, columns.keep_since):
        instants[ended] = 0
    touched = starts | waited | rekept | newly_quiet | ended
    return Moves(
        *(np.flatnonzero(mask) for mask in (starts & ~waited, waited, resolved, reset, touched)),
    )


def skip_unseen(columns: AlertColumns, gap: Duration) -> None:
    """Shift running `for` and `keep_firing_for` timers by `gap` ms that were never evaluated."""
    columns.own()
    waiting = columns.state == State.PENDING
    columns.active_at[waiting] += gap
    columns.keep_since[columns.keep_since != 0] += gap


def rows(
    columns: AlertColumns, which: Positions, rule: str, fingerprint: str, models: list[ModelKey]
) -> list[AlertRow]:
    """Return the rows to store for the models `which`, inactive ones included (they delete their stored row)."""
    numbers = (columns.active_at, columns.fired_at, columns.keep_since, columns.recent)
    return [
        AlertRow(rule, fingerprint, models[row], _STATES[state], *others)
        for row, state, *others in zip(
            which.tolist(), columns.state[which].tolist(), *(column[which].tolist() for column in numbers), strict=True
        )
    ]
