"""Gates in order, and budgets."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.gate import GateInput, Hold, PipelineLoad, budget_until, check, gates
from bridge.domain.request import HoldReason
from bridge.domain.rule import Budget
from bridge.domain.shared_cause import SharedCause

OPEN = GateInput(slot=1000, load=PipelineLoad(), cooldown=0)


def test_open_gates_hold_nothing() -> None:
    """Every gate is listed, in the order of the reasons."""
    assert check(OPEN) is None
    assert [reason for reason, _, _ in gates(OPEN)] == list(HoldReason)


@pytest.mark.parametrize(
    ("change", "hold"),
    [
        ({"paused_until": 1001}, Hold(HoldReason.PAUSED, 1001)),
        ({"load": PipelineLoad(busy_until=2000)}, Hold(HoldReason.IN_FLIGHT, 2000)),
        ({"attempts": 2, "load": PipelineLoad(unhelpful=2)}, Hold(HoldReason.ATTEMPTS, 0)),
        ({"cooldown": 600, "load": PipelineLoad(last_end=500)}, Hold(HoldReason.COOLDOWN, 1100)),
        ({"budget_until": 1500}, Hold(HoldReason.BUDGET, 1500)),
        ({"storm_until": 1500}, Hold(HoldReason.STORM, 1500)),
        ({"weighing_until": 1500}, Hold(HoldReason.WEIGHING, 1500)),
        ({"shared_cause": SharedCause("node", "n7", 17, 20, 0, 80, 900)}, Hold(HoldReason.NOT_THE_MODEL, 0)),
        ({"silenced_until": 1500}, Hold(HoldReason.SILENCED, 1500)),
        ({"silences_unknown": True}, Hold(HoldReason.SILENCES_UNKNOWN, 0)),
        ({"muted_until": 1500}, Hold(HoldReason.MUTED, 1500)),
        ({"unapproved": True}, Hold(HoldReason.APPROVAL, 0)),
    ],
    ids=[reason.value for reason in HoldReason],
)
def test_each_gate_holds(change: dict[str, object], hold: Hold) -> None:
    """With the instant at which it is expected to open."""
    assert check(structs.replace(OPEN, **change)) == hold


def test_a_gate_opens_at_its_instant() -> None:
    """An instant equal to the slot is over; a pipeline that was never retrained has no cooldown."""
    assert check(structs.replace(OPEN, paused_until=1000, cooldown=5000)) is None


def test_the_first_closed_gate_counts() -> None:
    """A pause comes before a mute."""
    assert check(structs.replace(OPEN, muted_until=9000, paused_until=2000)) == Hold(HoldReason.PAUSED, 2000)


@pytest.mark.parametrize(
    ("earlier", "later", "until"),
    [
        ([], [], 0),
        ([10], [], 0),
        ([10, 20], [], 110),
        ([10, 20], [30], 120),
        ([10], [20, 30], 120),
        ([], [20, 30, 40], 130),
    ],
)
def test_a_budget_has_room_when_the_oldest_leaves_the_window(earlier: list[int], later: list[int], until: int) -> None:
    """At most two within any 100 ms."""
    assert budget_until(earlier, later, Budget(2, 100)) == until
