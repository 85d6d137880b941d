"""State of the fleet in the API."""

from __future__ import annotations

from collections.abc import Callable

from bridge.domain.times import rfc3339
from bridge.store.leases import FleetState
from bridge.web.api import status_structs

Fleet = Callable[[], FleetState | None]


def no_fleet() -> FleetState | None:
    """Return None: this process is alone."""
    return None


def encoded(state: FleetState | None) -> status_structs.Fleet:
    """Return the state for the API; no owner and no replicas without a fleet."""
    if state is None:
        return status_structs.Fleet(owner="", fence=0, since=None, replicas=[])
    replicas = [
        status_structs.Replica(
            id=item.id, address=item.address, release=item.release, config_seq=item.config_seq,
            owner=item.id == state.owner, started_at=rfc3339(item.started_at), seen_at=rfc3339(item.seen_at),
        )
        for item in state.replicas
    ]  # fmt: skip
    since = rfc3339(state.since) if state.owner else None
    return status_structs.Fleet(owner=state.owner, fence=state.fence, since=since, replicas=replicas)
