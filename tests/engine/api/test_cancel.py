"""Cancelling the runs of a request in flight, and starting them again."""

from __future__ import annotations

import pytest

from bridge.domain.errors import RequestError, StoreError
from bridge.domain.request import RequestState
from bridge.ports import Run, RunState, Store
from tests.support.failing_store import FailingStore
from tests.support.world import A, FixedRoutes, World, group, rule

TRAIN = "team/run/0"


def world(*destinations: str, store: Store | None = None) -> World:
    """A request in flight to these destinations."""
    made = World(group(rule()), routes=FixedRoutes(destinations), store=store)
    made.tick({A: 0.7})
    return made


def test_a_request_whose_run_was_not_started_is_cancelled_at_once() -> None:
    """The delivery that is still queued starts nothing."""
    here = world(TRAIN)
    record = here.commands.act(here.requests()[0].id, "cancel", "ann", "not today")
    assert (record.state, record.acts[-1].what) == (RequestState.CANCELLED, "cancel")
    run = here.store.run(record.id, TRAIN)
    assert run is not None
    assert run.state is RunState.CANCELLED


def test_a_run_that_was_seen_ends_when_the_orchestrator_reports_it() -> None:
    """Until then the request is in flight, and the run is marked."""
    here = world(TRAIN)
    id_ = here.requests()[0].id
    here.store.save_run(Run(id_, TRAIN, "rb", "{}", here.now, RunState.RUNNING, sent_at=here.now, reference="r"))
    assert here.commands.act(id_, "withdraw", "ann").state is RequestState.REQUESTED
    run = here.store.run(id_, TRAIN)
    assert run is not None
    assert (run.cancel_at, run.state) == (here.now, RunState.RUNNING)


def test_only_a_request_in_flight_with_a_run_can_be_cancelled() -> None:
    """The error says why."""
    here = world("team/webhook/0")
    id_ = here.requests()[0].id
    with pytest.raises(RequestError, match="started no run"):
        here.commands.act(id_, "cancel", "ann")
    other = world(TRAIN)
    other.commands.act(other.requests()[0].id, "cancel", "ann")
    with pytest.raises(RequestError, match="is cancelled; only one in flight can be cancelled"):
        other.commands.act(other.requests()[0].id, "cancel", "ann")


def test_a_cancellation_that_is_not_stored_is_not_logged_as_applied(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "bridge.engine.api.operator_actions")
    store = FailingStore()
    here = world(TRAIN, store=store)
    id_ = here.requests()[0].id
    store.refuses = True
    with pytest.raises(StoreError):
        here.commands.act(id_, "cancel", "ann")
    assert caplog.messages == []
    store.refuses = False
    here.commands.act(id_, "cancel", "ann")
    assert caplog.messages == ["operator action applied"]


def test_a_held_run_is_started_again() -> None:
    """The next attempt, at once, may make one more start call."""
    here = world(TRAIN)
    id_ = here.requests()[0].id
    with pytest.raises(RequestError, match="no run that may have been started but cannot be found"):
        here.commands.act(id_, "start-again", "ann")
    here.store.save_run(Run(id_, TRAIN, "rb", "{}", here.now, RunState.UNKNOWN, sent_at=here.now))
    record = here.commands.act(id_, "start-again", "ann", "looked: it is not there")
    assert (record.state, record.acts[-1].what, record.acts[-1].who) == (RequestState.REQUESTED, "start-again", "ann")
    run = here.store.run(id_, TRAIN)
    assert run is not None
    assert (run.again_at, run.held) == (here.now, False)
    with pytest.raises(RequestError, match="no run"):
        here.commands.act(id_, "start-again", "ann")
