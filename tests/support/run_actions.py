"""Operators' actions on runs, as the engine commits them."""

from __future__ import annotations

from bridge.domain.errors import RequestError
from bridge.ports import RunAction, Store, TickChanges


def start_again(store: Store, request_id: str, destination: str, at: int) -> bool:
    """Allow one more start call of a held run; return False if the run is not held."""
    try:
        store.commit(TickChanges("", 0, runs=[RunAction(request_id, destination, cancel=False)], at=at))
    except RequestError:
        return False
    return True
