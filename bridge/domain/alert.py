"""The life cycle of a rule over all its models: `for`, `keep_firing_for`, hysteresis. Pure, over columns.

As in Prometheus: `for: 0` fires at the first breach; one healthy slot while pending resets; `for` and
`keep_firing_for` compare slot times, never the clock. Beyond it: a `band` verdict (between `clear` and the limit)
keeps a firing rule firing and starts nothing; an inconclusive verdict leaves the state as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from bridge.domain.model import ModelKey
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Int8

Instants = NDArray[np.int64]
Positions = NDArray[np.int64]


_NOTHING = np.zeros(0, np.int64)


class State(IntEnum):
    """State of a rule for one model; int8 in columns."""

    INACTIVE = 0
    PENDING = 1
    FIRING = 2


@dataclass(frozen=True, slots=True)
class AlertRow:
    """The stored state of one rule for one model; an inactive one has no row. Instants in ms, 0 = not set."""

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
        """Nothing is left to remember."""
        return self.state is State.INACTIVE and not self.recent


@dataclass(slots=True)
class AlertColumns:
    """State of one rule for every model slot: state int8, instants int64 ms with 0 for "not set".

    recent: int64, one bit for each of the last conclusive slots, the lowest is the latest; set = breached. Only rules
    with `breaches` keep it.
    """

    state: Int8
    active_at: Instants
    fired_at: Instants
    keep_since: Instants
    recent: Instants

    @staticmethod
    def empty(size: int = 0) -> AlertColumns:
        return AlertColumns(np.zeros(size, np.int8), *(np.zeros(size, np.int64) for _ in range(4)))

    def grow(self, size: int) -> None:
        """Make room for `size` model slots; new ones are inactive."""
        more = size - len(self.state)
        if more > 0:
            self.state = np.concatenate([self.state, np.zeros(more, np.int8)])
            self.active_at = np.concatenate([self.active_at, np.zeros(more, np.int64)])
            self.fired_at = np.concatenate([self.fired_at, np.zeros(more, np.int64)])
            self.keep_since = np.concatenate([self.keep_since, np.zeros(more, np.int64)])
            self.recent = np.concatenate([self.recent, np.zeros(more, np.int64)])

    def copy(self) -> AlertColumns:
        return AlertColumns(
            self.state.copy(), self.active_at.copy(), self.fired_at.copy(), self.keep_since.copy(), self.recent.copy()
        )

    def part(self, slots: Positions) -> AlertColumns:
        """A copy of some models' columns, without `recent`."""
        instants = (self.active_at[slots], self.fired_at[slots], self.keep_since[slots])
        return AlertColumns(self.state[slots], *instants, _NOTHING)

    def put(self, slots: Positions, part: AlertColumns) -> None:
        """Put such a copy back."""
        self.state[slots] = part.state
        self.active_at[slots], self.fired_at[slots] = part.active_at, part.fired_at
        self.keep_since[slots] = part.keep_since

    def clear(self, slots: Positions) -> None:
        """Nothing is known of these models."""
        self.state[slots] = State.INACTIVE
        for instants in (self.active_at, self.fired_at, self.keep_since, self.recent):
            instants[slots] = 0


@dataclass(frozen=True, slots=True)
class Moves:
    """Model slots whose state one `advance` changed; `touched` are all whose stored row changed."""

    pending: Positions
    fired: Positions
    resolved: Positions
    reset: Positions
    touched: Positions


_MOVES = ("pending", "fired", "resolved", "reset", "touched")
_SETTLED = np.array([State.INACTIVE, State.FIRING], np.int8)
_NO_MOVES = Moves(*(np.zeros(0, np.int64) for _ in range(5)))


def apply_policies(code: Int8, cause: Int8, policies: Mapping[Cause, str], known: NDArray[np.bool_]) -> Int8:
    """The codes after the rule's policy for each cause of inconclusive: `ok` and `fire` decide, all others leave.

    known: bool (n,), the models that the policies are for: nothing is decided of one that the rule has never seen.
    """
    decided = code
    for wanted, policy in policies.items():
        if policy in {"ok", "fire"}:
            hit = known & (code == Code.INCONCLUSIVE) & (cause == wanted)
            decided = np.where(hit, Code.OK if policy == "ok" else Code.BREACHED, decided).astype(np.int8)
    return decided


def count_breaches(columns: AlertColumns, code: Int8, at_least: int, of: int) -> Int8:
    """The codes under N of M: remember this slot in `columns.recent`, and judge by the last `of` conclusive ones.

    An inconclusive slot is not one of them, and stays inconclusive.
    """
    known, breached = code != Code.INCONCLUSIVE, code == Code.BREACHED
    window = (1 << of) - 1
    columns.recent[known] = (columns.recent[known] << 1 | breached[known]) & window
    enough = np.bitwise_count(columns.recent) >= at_least
    decided = np.where(enough, np.int8(Code.BREACHED), np.where(code == Code.BAND, code, np.int8(Code.OK)))
    return np.where(known, decided, code).astype(np.int8)


def advance(columns: AlertColumns, code: Int8, slot: Timestamp, *, for_: Duration, keep: Duration) -> Moves:
    """Move every model's state by one slot, in place; `code` is int8 over all model slots of `columns`."""
    state = columns.state
    if not columns.keep_since.any() and np.array_equal(state, _SETTLED[(code == Code.BREACHED).view(np.int8)]):
        return _NO_MOVES  # what is breached fires, and nothing else does
    some = np.flatnonzero((state != State.INACTIVE) | (code == Code.BREACHED))  # the others stay as they are
    if len(some) == len(state):
        return _moved(columns, code, slot, for_, keep)
    chosen = columns.part(some)
    moves = _moved(chosen, code[some], slot, for_, keep)
    columns.put(some, chosen)
    return Moves(*(some[getattr(moves, name)] for name in _MOVES))


def _moved(columns: AlertColumns, code: Int8, slot: Timestamp, for_: Duration, keep: Duration) -> Moves:
    """`advance`, whatever there is to move."""
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
    """Time that was never evaluated does not count towards `for` or `keep_firing_for`: shift what is running."""
    waiting = columns.state == State.PENDING
    columns.active_at[waiting] += gap
    columns.keep_since[columns.keep_since != 0] += gap


def rows(
    columns: AlertColumns, which: Positions, rule: str, fingerprint: str, models: list[ModelKey]
) -> list[AlertRow]:
    """The rows to store for the model slots `which`, inactive ones included (they delete their row)."""
    return [
        AlertRow(
            rule,
            fingerprint,
            models[i],
            State(columns.state[i]),
            int(columns.active_at[i]),
            int(columns.fired_at[i]),
            int(columns.keep_since[i]),
            int(columns.recent[i]),
        )
        for i in which.tolist()
    ]
