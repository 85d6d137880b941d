"""State of the fleet in the API."""

from __future__ import annotations

from bridge.store.leases import FleetState, Replica
from bridge.web.api.fleet import encoded, no_fleet
from tests.support.fake_views import AT


def replica(name: str) -> Replica:
    return Replica(
        id=name, address=f"http://{name}", release="1.0", config_hash="", config_seq=3, started_at=AT, seen_at=AT + 1000
    )


def state(owner: str, *names: str) -> FleetState:
    return FleetState(owner, 7, False, AT + 9000, AT, 3, AT, 0, tuple(map(replica, names)), "0009")


def test_without_a_fleet_there_is_no_owner() -> None:
    found = encoded(no_fleet())
    assert (found.owner, found.fence, found.since, found.replicas) == ("", 0, None, [])


def test_one_replica_is_the_owner() -> None:
    found = encoded(state("b", "a", "b"))
    assert (found.owner, found.fence, found.since) == ("b", 7, "2023-11-14T22:13:20.000Z")
    assert [(item.id, item.owner, item.seen_at) for item in found.replicas] == [
        ("a", False, "2023-11-14T22:13:21.000Z"), ("b", True, "2023-11-14T22:13:21.000Z"),
    ]  # fmt: skip


def test_between_two_owners_there_is_no_since() -> None:
    """The lease has ended, and nobody has taken it."""
    found = encoded(state("", "a"))
    assert (found.owner, found.since, found.replicas[0].owner) == ("", None, False)
