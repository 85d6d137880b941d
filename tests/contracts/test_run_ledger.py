"""One contract for the ledger of runs of every store: in memory, SQLite and PostgreSQL."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from bridge.domain.errors import RequestError
from bridge.domain.request import OperatorAction, RequestRecord
from bridge.ports import Delivery, Result, Run, RunAction, RunState, Settlement, Store, TickChanges
from tests.support.run_actions import start_again
from tests.support.store_records import HOOK, LEASE, queued, record_of


def run(number: int = 1, **changes: Any) -> Run:
    """A run that is prepared."""
    return replace(Run(f"{number:032x}", "team/run/0", f"rb-{number:032x}", '{"start": {}}', 1000), **changes)


def test_every_field_of_a_run_is_stored(store: Store) -> None:
    """Also after an update; there is none of another request or destination."""
    full = run(
        state=RunState.RUNNING, sent_at=2, reference="r/1", link="http://x/1", message='a"b\n🦆', new_version="8",
        seen_at=3, started_at=4, updated_at=5, next_poll=6, lookups=1, absent=2, cancel_at=7, cancelled_at=8,
        again_at=9, overdue=True,
    )  # fmt: skip
    store.save_run(run())
    store.save_run(full)
    assert store.run(full.request_id, "team/run/0") == full
    assert store.runs(full.request_id) == [full]
    assert store.run(full.request_id, "team/run/1") is None


def test_a_start_is_claimed_unless_the_run_was_cancelled_or_seen(store: Store) -> None:
    """The first claim sets the time, later ones keep it."""
    store.save_run(run())
    assert store.claim_start(run(), 2000)
    assert store.claim_start(run(), 3000)
    known = store.run(run().request_id, "team/run/0")
    assert known is not None
    assert known.sent_at == 2000
    assert store.cancel_run(run().request_id, "team/run/0", 4000).state is RunState.STARTING
    assert not store.claim_start(run(), 5000)
    store.save_run(run(2))
    store.save_run(run(2, reference="r"))
    assert not store.claim_start(run(2), 5000)


def test_a_held_run_is_started_again_once(store: Store) -> None:
    """Only a run that may have been started but cannot be found; the next claim uses it up and sets the time anew."""
    id_, at = run().request_id, "team/run/0"
    assert not start_again(store, id_, at, 10)
    store.save_run(run(sent_at=2000))
    assert not start_again(store, id_, at, 10)
    held = run(sent_at=2000, state=RunState.UNKNOWN)
    store.save_run(held)
    assert held.held
    assert start_again(store, id_, at, 3000)
    assert not start_again(store, id_, at, 3001)
    store.save_run(held)  # an older reading
    known = store.run(id_, at)
    assert known is not None
    assert (known.again_at, known.held) == (3000, False)
    assert store.claim_start(known, 4000)
    known = store.run(id_, at)
    assert known is not None
    assert (known.again_at, known.sent_at) == (0, 4000)


@pytest.mark.parametrize("changes", [{"reference": "r"}, {"ended_at": 5}, {"cancel_at": 5}])
def test_a_run_that_was_seen_ended_or_cancelled_is_not_started_again(store: Store, changes: dict[str, Any]) -> None:
    """Its state says the same."""
    other = run(sent_at=1, state=RunState.UNKNOWN, **changes)
    store.save_run(other)
    assert not other.held
    assert not start_again(store, other.request_id, other.destination, 10)


def test_what_another_thread_recorded_of_a_run_is_kept(store: Store) -> None:
    """A cancellation, and the server's id: an older reading does not overwrite them."""
    store.save_run(run(reference="r", sent_at=1))
    store.cancel_run(run().request_id, "team/run/0", 4000)
    store.save_run(run(message="older"))
    known = store.run(run().request_id, "team/run/0")
    assert known is not None
    assert (known.reference, known.cancel_at, known.message) == ("r", 4000, "older")


def test_a_run_that_was_not_started_is_cancelled_at_once(store: Store) -> None:
    """Also before it is prepared: then nothing prepares it any more."""
    assert store.cancel_run(run(3).request_id, "team/run/0", 9).state is RunState.CANCELLED
    store.save_run(run(4))
    cancelled = store.cancel_run(run(4).request_id, "team/run/0", 9)
    assert (cancelled.state, cancelled.ended_at, cancelled.name) == (RunState.CANCELLED, 9, run(4).name)
    store.forget_run(run(4).request_id, "team/run/0")
    assert store.run(run(4).request_id, "team/run/0") == cancelled


def test_only_a_run_that_was_not_seen_is_forgotten(store: Store) -> None:
    """Else it could be started again."""
    store.save_run(run(5))
    store.save_run(run(6, reference="r"))
    for number in (5, 6):
        store.forget_run(run(number).request_id, "team/run/0")
    assert store.run(run(5).request_id, "team/run/0") is None
    assert store.run(run(6).request_id, "team/run/0") is not None


def test_open_runs_are_those_that_were_seen_and_have_not_ended(store: Store) -> None:
    """The least recently polled first; counted by destination and state."""
    store.save_run(run(1, reference="a", next_poll=20, state=RunState.QUEUED, overdue=True))
    store.save_run(run(2, reference="b", next_poll=10, state=RunState.RUNNING))
    store.save_run(run(3, reference="c", ended_at=5, state=RunState.FAILED, overdue=True))
    store.save_run(run(4))
    store.save_run(run(5, destination="other/run/0", reference="d", state=RunState.QUEUED))
    assert [item.reference for item in store.open_runs("team/run/0")] == ["b", "a"]
    assert dict(store.run_counts()) == {
        ("team/run/0", RunState.QUEUED): 1, ("team/run/0", RunState.RUNNING): 1,
        ("team/run/0", RunState.STARTING): 1, ("other/run/0", RunState.QUEUED): 1,
    }  # fmt: skip
    assert dict(store.overdue_runs()) == {"team/run/0": 1}


def test_an_action_on_runs_is_committed_whole_or_not_at_all(store: Store) -> None:
    """With the request that it is recorded in, and its delivery; refused if one of the runs is not held any more."""
    record = record_of(destinations=("team/run/0", "team/run/1"))
    queued(store, record, at=100)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    assert store.settle([Settlement([claim], Delivery(Result.RETRY), 100, 9000)]) == [True]
    for number in (0, 1):
        held = Run(record.id, f"team/run/{number}", "rb", "{}", 100, RunState.UNKNOWN, sent_at=100)
        store.save_run(held)
    store.save_run(replace(held, reference="found"))
    acted = structs.replace(record, acts=(OperatorAction("start-again", "ann", 200),))
    both = [RunAction(record.id, f"team/run/{number}", cancel=False) for number in (0, 1)]

    def stored() -> tuple[object, ...]:
        (delivery,) = store.deliveries(record.id)
        return store.request(record.id), store.runs(record.id), delivery.next_at

    before = stored()
    with pytest.raises(RequestError, match="not held any more, so nothing was changed"):
        store.commit(TickChanges("", 0, requests=[acted], runs=both, at=200))
    assert stored() == before
    store.commit(TickChanges("", 0, requests=[acted], runs=both[:1], at=200))
    found, _, next_at = stored()
    assert isinstance(found, RequestRecord)
    assert (found.acts, [run.again_at for run in store.runs(record.id)], next_at) == (acted.acts, [200, 0], 200)
