"""Outbox of every store: deliveries, leases, groups and breakers. One contract for all stores."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.errors import UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Episode,
    OperatorAction,
    RequestRecord,
    RequestState,
)
from bridge.ports import (
    DISCARDED,
    Breaker,
    Delivery,
    DeliveryState,
    Discard,
    Kind,
    NewDelivery,
    QueueDepth,
    Result,
    Settlement,
    Store,
    TickChanges,
)
from tests.support.outbox import settle
from tests.support.store_records import HOOK, LEASE, A, B, C, queued, record_of


def test_a_redriven_delivery_waits_since_then(store: Store) -> None:
    """Not since it was queued first: it would be the oldest of all, and an alarm."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD, "http_4xx", 400), 200, 0)
    assert store.redrive(made.id, None, 5000) == 1
    (item,) = store.deliveries(made.id)
    assert (item.state, item.queued_at, item.next_at, item.attempts) == (DeliveryState.QUEUED, 5000, 5000, 1)
    assert store.depths()[HOOK] == QueueDepth(1, 5000, 0)


def test_a_leased_delivery_is_due_when_its_lease_ends(store: Store) -> None:
    """As people are shown it."""
    made = record_of()
    queued(store, made)
    store.claim(HOOK, "w", 100, LEASE)
    assert [item.next_at for item in store.deliveries(made.id)] == [100 + LEASE]


def test_a_delivery_is_claimed_once_until_its_lease_ends(store: Store) -> None:
    """The second worker gets nothing; after the lease it gets the same thing as attempt 2."""
    made = record_of()
    queued(store, made)
    (first,) = store.claim(HOOK, "w1", 100, LEASE)
    assert (first.notification.request, first.attempt) == (made.request, 1)
    assert store.claim(HOOK, "w2", 1099, LEASE) == []
    assert store.next_due(HOOK) == 1100
    (second,) = store.claim(HOOK, "w2", 1100, LEASE)
    assert (second.id, second.attempt) == (first.id, 2)


def test_a_worker_that_was_overtaken_changes_nothing(store: Store) -> None:
    """Fenced by worker and attempt."""
    queued(store, record_of())
    (first,) = store.claim(HOOK, "w1", 100, LEASE)
    (second,) = store.claim(HOOK, "w1", 1100, LEASE)
    assert settle(store, first, Delivery(Result.DEAD, "http_4xx"), 1101, 1101) is False
    assert settle(store, second, Delivery(Result.DELIVERED), 1102, 1102) is True
    assert settle(store, second, Delivery(Result.DELIVERED), 1103, 1103) is False
    assert [item.state for item in store.deliveries(record_of().id)] == [DeliveryState.DELIVERED]


def test_deliveries_are_claimed_oldest_first_and_per_destination(store: Store) -> None:
    """Other destinations have their own queues."""
    first, second = record_of(start=1), record_of(B, start=2)
    queued(store, first, at=100)
    queued(store, second, at=200)
    assert store.claim("team/coordinator/0", "w", 300, LEASE) == []
    claims = store.claim(HOOK, "w", 300, LEASE, limit=5)
    assert [item.notification.request.id for item in claims] == [first.id, second.id]


def test_a_retry_is_due_when_it_was_scheduled_and_can_be_pulled_forward(store: Store) -> None:
    """RETRY and DENIED wait until next_at; the answer is kept for people."""
    queued(store, record_of())
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.RETRY, "http_5xx", 503, "busy"), 150, 5000)
    assert store.claim(HOOK, "w", 4999, LEASE) == []
    (waiting,) = store.pending_deliveries()
    assert (waiting.state, waiting.reason, waiting.status, waiting.answer) == ("retry", "http_5xx", 503, "busy")
    store.pull_forward(HOOK, 200)
    assert store.next_due(HOOK) == 200
    assert len(store.claim(HOOK, "w", 200, LEASE)) == 1


def test_pulling_forward_does_not_take_a_lease_away(store: Store) -> None:
    """Somebody is sending it at this moment."""
    queued(store, record_of())
    store.claim(HOOK, "w1", 100, LEASE)
    store.pull_forward(HOOK, 101)
    assert store.claim(HOOK, "w2", 200, LEASE) == []


def test_the_same_delivery_is_queued_once(store: Store) -> None:
    """A tick that is evaluated again after a crash queues nothing twice."""
    queued(store, record_of())
    queued(store, record_of())
    assert len(store.deliveries(record_of().id)) == 1


def test_a_delivered_request_is_marked_and_a_reference_means_accepted(store: Store) -> None:
    """In the settlement's transaction; the first delivery counts."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DELIVERED, reference="run-1"), 150, 150)
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at, found.reference) == (RequestState.ACCEPTED, 150, "run-1")


def test_what_a_delivery_recorded_is_not_overwritten_by_an_older_reading(store: Store) -> None:
    """The engine may write a request that it read before the settlement."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DELIVERED, reference="run-1"), 150, 150)
    store.save_request(structs.replace(made, message="late"))
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at, found.reference, found.message) == ("accepted", 150, "run-1", "late")
    store.save_request(structs.replace(made, state=RequestState.FAILED, ended_at=200))
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at) == ("failed", 150)


def test_the_end_is_sent_after_the_beginning(store: Store) -> None:
    """RESOLVED waits for FIRING, and carries the episode's end."""
    made = record_of()
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    store.commit(TickChanges("g", 300, episodes=[Episode(A, 100, "R", ("R",), 1, 250)], at=300))
    (claim,) = store.claim(HOOK, "w", 300, LEASE, limit=5)
    assert claim.notification.kind is Kind.FIRING
    settle(store, claim, Delivery(Result.DELIVERED), 310, 310)
    (claim,) = store.claim(HOOK, "w", 320, LEASE, limit=5)
    assert (claim.notification.kind, claim.notification.starts_at, claim.notification.ends_at) == (
        Kind.RESOLVED,
        100,
        250,
    )


def test_the_end_of_what_was_never_delivered_is_dropped(store: Store) -> None:
    """FIRING died: the receiver gets no RESOLVED for it."""
    made = record_of()
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    assert store.next_due(HOOK) is None
    assert [item.state for item in store.deliveries(made.id)] == ["dead", "dead"]


def test_dead_deliveries_can_be_driven_again(store: Store) -> None:
    """dead -> queued, attempts kept; an unknown request is an error."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    assert store.redrive(made.id, "team/other/0", 200) == 0
    assert store.redrive(made.id, None, 200) == 1
    (claim,) = store.claim(HOOK, "w", 200, LEASE)
    assert claim.attempt == 2
    with pytest.raises(UnknownRequestError):
        store.redrive("0" * 32, None, 200)


def test_a_redriven_request_is_open_after_a_load(store: Store) -> None:
    """Though its episode is over, and later requests of its pipeline were sent and have ended."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD, "http_4xx", 413), 110, 110)
    later = record_of(start=300, state=RequestState.CLOSED, ended_at=400)
    store.commit(TickChanges("g", 400, requests=[later], at=400))
    assert made.id not in {record.id for record in store.load(500).requests}
    store.redrive(made.id, None, 500)
    assert made.id in {record.id for record in store.load(600).requests}


def test_what_waits_for_a_retry_can_be_tried_at_once(store: Store) -> None:
    """To the given destinations, and of no other request; what is leased or dead is left alone."""
    made, other = record_of(), record_of(B)
    queued(store, made)
    queued(store, other)
    for claim in store.claim(HOOK, "w", 100, LEASE, limit=10):
        settle(store, claim, Delivery(Result.RETRY, "http_5xx", 503), 110, 10_000)
    assert store.retry(made.id, ["elsewhere/webhook/0"], 200) == 0
    assert store.retry(made.id, [], 200) == 0
    assert store.retry(made.id, [HOOK, "elsewhere/webhook/0"], 200) == 1
    assert store.retry(made.id, [HOOK], 200) == 0
    (claim,) = store.claim(HOOK, "w", 200, LEASE, limit=10)
    assert (claim.notification.request.id, claim.attempt) == (made.id, 2)
    assert store.retry(made.id, [HOOK], 200) == 0
    with pytest.raises(UnknownRequestError):
        store.retry("0" * 32, [HOOK], 200)


def discarded(store: Store, made: RequestRecord, at: int, *destinations: str) -> None:
    """Commit the discard of a request's deliveries to these destinations, with the operator's action."""
    acted = structs.replace(made, acts=(OperatorAction("discard", "ada", at),))
    store.commit(TickChanges("", 0, requests=[acted], discards=[Discard(made.id, one) for one in destinations], at=at))


def test_discarded_deliveries_are_over(store: Store) -> None:
    """With the action and the state of the request in the same commit; they are not counted as dead."""
    made, other = record_of(), record_of(B)
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    queued(store, other)
    assert [item.request_id for item in store.discardable([HOOK], 150, 2)] == [made.id, made.id]
    assert store.discardable(["team/webhook/1"], 150, 10) == []
    discarded(store, made, 200, HOOK)
    assert [(item.state, item.reason, item.updated_at) for item in store.deliveries(made.id)] == [
        (DeliveryState.DEAD, DISCARDED, 200)
    ] * 2
    assert dict(store.depths()) == {HOOK: QueueDepth(1, 100, 0)}
    assert [item.request_id for item in store.pending_deliveries()] == [other.id]
    assert [item.request_id for item in store.discardable([HOOK], 200, 10)] == [other.id]
    stored = store.request(made.id)
    assert stored is not None
    assert (stored.state, stored.ended_at, [act.what for act in stored.acts]) == ("undelivered", 200, ["discard"])
    discarded(store, made, 300, HOOK)
    assert {item.updated_at for item in store.deliveries(made.id)} == {200}


def test_only_what_is_not_attempted_or_delivered_is_discarded(store: Store) -> None:
    """A lease that has ended is no attempt; a receiver that has the request keeps it in flight."""
    made, left = record_of(), record_of(B)
    store.commit(
        TickChanges(
            "g", 100, requests=[made, left],
            deliveries=[NewDelivery(made.id, HOOK, Kind.FIRING), NewDelivery(made.id, "team/log/0", Kind.FIRING)],
            at=100,
        )
    )  # fmt: skip
    (claim,) = store.claim("team/log/0", "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DELIVERED), 110, 110)
    store.claim(HOOK, "w", 100, LEASE)
    assert store.discardable([HOOK, "team/log/0"], 200, 10) == []
    discarded(store, made, 200, HOOK, "team/log/0")
    assert {item.state for item in store.deliveries(made.id)} == {DeliveryState.LEASED, DeliveryState.DELIVERED}
    assert [item.destination for item in store.discardable([HOOK], 100 + LEASE, 10)] == [HOOK]
    discarded(store, made, 100 + LEASE, HOOK, "team/log/0")
    assert {item.state for item in store.deliveries(made.id)} == {DeliveryState.DEAD, DeliveryState.DELIVERED}
    found = store.request(made.id)
    assert found is not None
    assert found.state == "requested"


def test_dead_deliveries_can_be_discarded_and_discarded_ones_redriven(store: Store) -> None:
    """The receiver may come back."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    assert [item.state for item in store.discardable([HOOK], 200, 10)] == [DeliveryState.DEAD]
    discarded(store, made, 200, HOOK)
    assert store.depths() == {}
    assert store.redrive(made.id, None, 300) == 1
    assert dict(store.depths()) == {HOOK: QueueDepth(1, 300, 0)}
    assert [item.state for item in store.discardable([HOOK], 300, 10)] == [DeliveryState.QUEUED]


def test_depths_count_what_waits_and_what_died(store: Store) -> None:
    """With the age of the oldest that waits."""
    first, second, third = record_of(start=1), record_of(B, start=2), record_of(C, start=3)
    queued(store, first, at=100)
    queued(store, second, third, at=200)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    settle(store, claim, Delivery(Result.DEAD), 110, 110)
    assert dict(store.depths()) == {HOOK: QueueDepth(2, 200, 1)}


def test_breakers_survive(store: Store) -> None:
    """Closed when nothing is known."""
    assert store.breaker(HOOK) == Breaker(HOOK)
    store.save_breaker(Breaker(HOOK, 3, 500, 600))
    store.save_breaker(Breaker(HOOK, 4, 700, 0))
    assert store.breaker(HOOK) == Breaker(HOOK, 4, 700, 0)


BUNDLE = '{"at": 0, "labels": {"project": "shop"}}'


def bundled(store: Store, *models: ModelKey, due: int = 200, at: int = 100) -> None:
    """One request of each model for a webhook, to be sent together from `due` on."""
    records = [record_of(model, start=at) for model in models]
    new = [NewDelivery(item.id, "team/webhook/0", Kind.FIRING, BUNDLE, due) for item in records]
    store.commit(TickChanges("g", at, requests=records, deliveries=new, at=at))


def test_a_bundle_is_claimed_whole_when_it_is_due(store: Store) -> None:
    """Not before; the others of it come with the first, and nobody else gets them."""
    bundled(store, A, C)
    bundled(store, B, due=300)
    assert store.claim("team/webhook/0", "w", 199, 50) == []
    assert store.next_due("team/webhook/0") == 200
    (claim,) = store.claim("team/webhook/0", "w", 200, 50)
    rest = store.claim_rest(claim, 200, 50)
    assert claim.bundle == BUNDLE
    assert {item.notification.request.model for item in (claim, *rest)} == {A, C}
    assert store.claim("team/webhook/0", "other", 210, 50) == []


def test_what_is_committed_after_its_bundle_was_due_goes_alone(store: Store) -> None:
    """The bundle may be gone: its key must not come again with more in it."""
    bundled(store, A, due=200, at=250)
    (claim,) = store.claim("team/webhook/0", "w", 250, 50)
    assert claim.bundle == ""


def test_a_bundle_is_settled_whole_or_not_at_all(store: Store) -> None:
    """One of it was claimed anew by another worker: nothing is recorded for any."""
    bundled(store, A, C)
    (claim,) = store.claim("team/webhook/0", "w", 200, 50)
    claims = [claim, *store.claim_rest(claim, 200, 50)]
    (stolen,) = store.claim("team/webhook/0", "other", 260, 50)
    assert not store.settle([Settlement(claims, Delivery(Result.DELIVERED), 270, 270, apart=False)])[0]
    assert {item.state for item in store.pending_deliveries()} == {"leased"}
    again = [stolen, *store.claim_rest(stolen, 260, 50)]
    assert store.settle([Settlement(again, Delivery(Result.DELIVERED), 270, 270, apart=False)])[0]
    assert store.pending_deliveries() == []


def test_a_bundle_that_was_refused_is_taken_apart(store: Store) -> None:
    """Each is tried alone from then on."""
    bundled(store, A, C)
    (claim,) = store.claim("team/webhook/0", "w", 200, 50)
    claims = [claim, *store.claim_rest(claim, 200, 50)]
    assert store.settle([Settlement(claims, Delivery(Result.RETRY, "http_4xx", 400), 210, 210, apart=True)])[0]
    found = store.claim("team/webhook/0", "w", 210, 50, limit=5)
    assert [item.bundle for item in found] == ["", ""]


def test_a_request_whose_every_delivery_is_dead_is_undelivered(store: Store) -> None:
    """In the settlement's transaction; driven again it is requested again, and a taken one stays as it is."""
    made, taken = record_of(), record_of(B)
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    other = "team/other/0"
    both = [NewDelivery(taken.id, place, Kind.FIRING) for place in (HOOK, other)]
    store.commit(TickChanges("g", 200, requests=[taken], deliveries=both, at=200))
    for claim in store.claim(HOOK, "w", 300, LEASE, limit=9):
        settle(store, claim, Delivery(Result.DEAD, "http_4xx", 413), 310, 310)
    first, second = store.request(made.id), store.request(taken.id)
    assert first is not None
    assert second is not None
    assert (first.state, first.ended_at, first.updated_at) == (RequestState.UNDELIVERED, 310, 310)
    assert second.state is RequestState.REQUESTED
    store.save_request(made)  # from an older reading
    assert store.request(made.id) == first
    assert store.redrive(made.id, None, 400) == 2
    again = store.request(made.id)
    assert again is not None
    assert (again.state, again.ended_at, again.message) == (RequestState.REQUESTED, 0, "")
