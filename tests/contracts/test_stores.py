"""One contract for every store: in memory, SQLite and PostgreSQL."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bridge.domain.alert import AlertRow, State
from bridge.domain.errors import UnknownRequestError
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Decision,
    Episode,
    Evidence,
    HoldReason,
    Outcome,
    RecoveryVerdict,
    RequestRecord,
    RequestState,
    RetrainRequest,
    request_id,
)
from bridge.ports import (
    Breaker,
    DecisionFilter,
    Delivery,
    DeliveryState,
    Kind,
    NewDelivery,
    QueueDepth,
    RequestFilter,
    Result,
    StateChunk,
    Store,
    TickChanges,
)
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.postgres import Postgres, postgres

A = ModelKey("shop", "ranking", "7")
B = ModelKey("shop", "ranking", "8")
C = ModelKey("shop", "search", "1")
HOOK = "team/webhook/0"
LEASE = 1000


@pytest.fixture(scope="session")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path: Path) -> Iterator[Store]:
    opened: Store
    if request.param == "memory":
        opened = MemoryStore()
    elif request.param == "sqlite":
        opened = SqlStore.open_sqlite(tmp_path / "bridge.db")
    else:
        opened = SqlStore.open_url(request.getfixturevalue("cluster").database())
    yield opened
    opened.close()


def record_of(model: ModelKey = A, *, start: int = 100, attempt: int = 1, **more: object) -> RequestRecord:
    evidence = Evidence("R", "s", "drift", "up", 0.7, math.inf, -math.inf, "score", {"instance": "a"})
    request = RetrainRequest(
        model, "why", start, request_id(model, "R", start, attempt), "R", start, attempt, ("why", "and"), (evidence,),
        {"severity": "page"}, {"summary": "ümläut\n\"quote\""}, late=True,
    )  # fmt: skip
    made = RequestRecord(request, RequestState.REQUESTED, start, ("team",), (HOOK,), sent_at=start)
    return replace(made, **more)  # type: ignore[arg-type]


def queued(store: Store, *records: RequestRecord, kinds: tuple[Kind, ...] = (Kind.FIRING,), at: int = 100) -> None:
    """Commit requests with a delivery to HOOK of each kind."""
    deliveries = [NewDelivery(item.id, HOOK, kind) for item in records for kind in kinds]
    store.commit(TickChanges("g", at, requests=records, deliveries=deliveries, at=at))


def test_a_tick_is_there_after_a_load(store: Store) -> None:
    """Slots, life-cycle rows, open episodes, requests and strategy state come back as they were."""
    firing = AlertRow("R", "f", A, State.FIRING, 10, 20, 30)
    pending = AlertRow("R", "f", B, State.PENDING, 10, 0, 0)
    episode = Episode(A, 20, "R", ("R", "Other"), 1)
    chunk = StateChunk("R", "f", 100, (A, B), b"\x00\xff")
    made = record_of(start=20)
    store.commit(TickChanges("g", 100, [firing, pending], [episode], [made], state=[chunk], at=100))
    found = store.load(0)
    assert dict(found.slots) == {"g": 100}
    assert sorted(found.alerts, key=lambda row: row.model) == [firing, pending]
    assert list(found.episodes) == [episode]
    assert list(found.requests) == [made]
    assert list(found.state) == [chunk]


def test_later_ticks_overwrite_and_an_inactive_row_is_gone(store: Store) -> None:
    """Upserts by key; the last row of a key in one tick wins."""
    store.commit(TickChanges("g", 100, [AlertRow("R", "f", A, State.PENDING, 10, 0, 0)], at=100))
    store.commit(TickChanges("g", 200, [AlertRow("R", "f", A, State.FIRING, 10, 200, 0)], at=200))
    assert [row.state for row in store.load(0).alerts] == [State.FIRING]
    gone = AlertRow("R", "f", A, State.INACTIVE, 0, 0, 0)
    store.commit(TickChanges("g", 300, [gone], at=300))
    assert list(store.load(0).alerts) == []
    store.commit(TickChanges("g", 400, [gone, AlertRow("R", "f", A, State.PENDING, 400, 0, 0)], at=400))
    assert [row.active_at for row in store.load(0).alerts] == [400]
    assert dict(store.load(0).slots) == {"g": 400}


def test_the_latest_request_of_a_pipeline_is_the_one_that_was_sent_last(store: Store) -> None:
    """It was held and made before the other: its end is what the cooldown counts from, after a restart too."""
    done = {"state": RequestState.SUCCEEDED, "verdict": RecoveryVerdict.INCONCLUSIVE}
    held = record_of(start=10, **done, sent_at=80, ended_at=90)
    other = record_of(B, start=20, **done, sent_at=20, ended_at=30)
    store.commit(TickChanges("g", 100, requests=[held, other], at=100))
    assert list(store.load(1000).requests) == [held]
    store.prune(500)
    assert store.request(held.id) == held
    assert store.request(other.id) is None


def test_a_redriven_delivery_waits_since_then(store: Store) -> None:
    """Not since it was queued first: it would be the oldest of all, and an alarm."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.DEAD, "http_4xx", 400), 200, 0)
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


def test_a_load_brings_what_is_open_lately_ended_or_the_latest_of_its_pipeline(store: Store) -> None:
    """Old closed episodes stay behind; the pipeline's latest request comes along, for the cooldown."""
    old, latest, other = record_of(start=10), record_of(B, start=50), record_of(C, start=60)
    done = {"state": RequestState.SUCCEEDED, "ended_at": 90, "verdict": RecoveryVerdict.RECOVERED}
    episodes = [Episode(item.request.model, item.request.episode_start, "R", ("R",), 1, 90) for item in (old, latest)]
    records = [replace(item, **done) for item in (old, latest)]
    store.commit(TickChanges("g", 100, episodes=episodes, requests=[*records, other], at=100))
    assert [item.id for item in store.load(91).requests] == [latest.id, other.id]
    assert list(store.load(91).episodes) == []
    assert len(store.load(90).requests) == 3


def test_a_request_survives_with_everything_it_says(store: Store) -> None:
    """Text of any kind and numbers that JSON has no word for."""
    made = record_of(state=RequestState.HELD, hold=HoldReason.COOLDOWN, hold_until=7, message="m", new_version="9")
    store.save_request(made)
    assert store.request(made.id) == made
    assert store.request("0" * 32) is None


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
    assert store.settle(first, Delivery(Result.DEAD, "http_4xx"), 1101, 1101) is False
    assert store.settle(second, Delivery(Result.DELIVERED), 1102, 1102) is True
    assert store.settle(second, Delivery(Result.DELIVERED), 1103, 1103) is False
    assert [item.state for item in store.deliveries(record_of().id)] == [DeliveryState.DELIVERED]


def test_deliveries_are_claimed_oldest_first_and_per_destination(store: Store) -> None:
    """Other destinations have their own queues."""
    first, second = record_of(start=1), record_of(B, start=2)
    queued(store, first, at=100)
    queued(store, second, at=200)
    assert store.claim("team/coordinator/0", "w", 300, LEASE) == []
    claims = store.claim(HOOK, "w", 300, LEASE, limit=5)
    assert [item.notification.request.id for item in claims] == [first.id, second.id]


def test_a_retry_is_due_when_it_was_told_and_can_be_pulled_forward(store: Store) -> None:
    """RETRY and DENIED wait until next_at; the answer is kept for people."""
    queued(store, record_of())
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.RETRY, "http_5xx", 503, "busy"), 150, 5000)
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
    store.settle(claim, Delivery(Result.DELIVERED, reference="run-1"), 150, 150)
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at, found.reference) == (RequestState.ACCEPTED, 150, "run-1")


def test_what_a_delivery_recorded_is_not_overwritten_by_an_older_reading(store: Store) -> None:
    """The engine may write a request that it read before the settlement."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.DELIVERED, reference="run-1"), 150, 150)
    store.save_request(replace(made, message="late"))
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at, found.reference, found.message) == ("accepted", 150, "run-1", "late")
    store.save_request(replace(made, state=RequestState.FAILED, ended_at=200))
    found = store.request(made.id)
    assert found is not None
    assert (found.state, found.delivered_at) == ("failed", 150)


def test_the_end_is_told_after_the_beginning(store: Store) -> None:
    """RESOLVED waits for FIRING, and carries the episode's end."""
    made = record_of()
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    store.commit(TickChanges("g", 300, episodes=[Episode(A, 100, "R", ("R",), 1, 250)], at=300))
    (claim,) = store.claim(HOOK, "w", 300, LEASE, limit=5)
    assert claim.notification.kind is Kind.FIRING
    store.settle(claim, Delivery(Result.DELIVERED), 310, 310)
    (claim,) = store.claim(HOOK, "w", 320, LEASE, limit=5)
    assert (claim.notification.kind, claim.notification.starts_at, claim.notification.ends_at) == (
        Kind.RESOLVED,
        100,
        250,
    )


def test_the_end_of_what_was_never_heard_is_dropped(store: Store) -> None:
    """FIRING died: the receiver gets no RESOLVED for it."""
    made = record_of()
    queued(store, made, kinds=(Kind.FIRING, Kind.RESOLVED))
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
    assert store.next_due(HOOK) is None
    assert [item.state for item in store.deliveries(made.id)] == ["dead", "dead"]


def test_dead_deliveries_can_be_driven_again(store: Store) -> None:
    """dead -> queued, attempts kept; an unknown request is an error."""
    made = record_of()
    queued(store, made)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.DEAD, "http_4xx", 400), 110, 110)
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
    store.settle(claim, Delivery(Result.DEAD, "http_4xx", 413), 110, 110)
    later = record_of(start=300, state=RequestState.CLOSED, ended_at=400)
    store.commit(TickChanges("g", 400, requests=[later], at=400))
    assert made.id not in {record.id for record in store.load(500).requests}
    store.redrive(made.id, None, 500)
    assert made.id in {record.id for record in store.load(600).requests}


def test_what_waits_for_a_retry_can_be_tried_at_once(store: Store) -> None:
    """Of every destination of the request, and of no other; what is leased or dead is left alone."""
    made, other = record_of(), record_of(B)
    queued(store, made)
    queued(store, other)
    for claim in store.claim(HOOK, "w", 100, LEASE, limit=10):
        store.settle(claim, Delivery(Result.RETRY, "http_5xx", 503), 110, 10_000)
    assert store.retry(made.id, 200) == 1
    assert store.retry(made.id, 200) == 0
    (claim,) = store.claim(HOOK, "w", 200, LEASE, limit=10)
    assert (claim.notification.request.id, claim.attempt) == (made.id, 2)
    assert store.retry(made.id, 200) == 0
    with pytest.raises(UnknownRequestError):
        store.retry("0" * 32, 200)


def test_depths_count_what_waits_and_what_died(store: Store) -> None:
    """With the age of the oldest that waits."""
    first, second, third = record_of(start=1), record_of(B, start=2), record_of(C, start=3)
    queued(store, first, at=100)
    queued(store, second, third, at=200)
    (claim,) = store.claim(HOOK, "w", 100, LEASE)
    store.settle(claim, Delivery(Result.DEAD), 110, 110)
    assert dict(store.depths()) == {HOOK: QueueDepth(2, 200, 1)}


def test_breakers_survive(store: Store) -> None:
    """Closed when nothing is known."""
    assert store.breaker(HOOK) == Breaker(HOOK)
    store.save_breaker(Breaker(HOOK, 3, 500, 600))
    store.save_breaker(Breaker(HOOK, 4, 700, 0))
    assert store.breaker(HOOK) == Breaker(HOOK, 4, 700, 0)


def decision(slot: int, model: ModelKey | None = A, rule: str = "R", **more: object) -> Decision:
    base = Decision(
        slot, "g", rule, model, Outcome.HELD, "pending", "firing", "because", "breached", "none", 0.7, None, 0.6,
        "up", slot, "id", 2,
    )  # fmt: skip
    return replace(base, **more)  # type: ignore[arg-type]


def test_decisions_are_found_by_model_rule_and_time_newest_first(store: Store) -> None:
    """A decision about a whole rule has no model."""
    told = [decision(1), decision(2, B), decision(3, None, "Other"), decision(4, A, "Other")]
    store.commit(TickChanges("g", 4, decisions=told, at=4))
    assert store.decisions(DecisionFilter()) == told[::-1]
    assert store.decisions(DecisionFilter(A)) == [told[3], told[0]]
    assert store.decisions(DecisionFilter(rule="Other", since=4)) == [told[3]]
    assert store.decisions(DecisionFilter(limit=2)) == [told[3], told[2]]
    assert store.decisions(DecisionFilter(since=2, until=3)) == [told[2], told[1]]


def test_decisions_are_read_on_where_a_list_ended(store: Store) -> None:
    """Each has an id that stays; what came meanwhile shifts nothing."""
    told = [decision(1), decision(1, B), decision(1, C), decision(2, outcome=Outcome.REQUESTED)]
    store.commit(TickChanges("g", 2, decisions=told, at=2))
    first = store.decisions(DecisionFilter(limit=2))
    store.commit(TickChanges("g", 3, decisions=[decision(3)], at=3))
    assert store.decisions(DecisionFilter(before=first[-1].id)) == [told[1], told[0]]
    ids = [item.id for item in store.decisions(DecisionFilter())]
    assert len(set(ids)) == 5
    assert ids == sorted(ids, reverse=True)
    assert store.decisions(DecisionFilter(outcomes=(Outcome.REQUESTED, Outcome.RECORDED))) == [told[3]]


def test_episodes_of_a_model_are_found_newest_first(store: Store) -> None:
    """The open one included; an episode is there once, as it is now; of other models none."""
    open_ = [Episode(A, start, "R", ("R",), 1) for start in (10, 20, 30)]
    ended = [replace(item, ended_at=item.started_at + 5, end_reason="back to normal") for item in open_[:2]]
    store.commit(TickChanges("g", 100, episodes=[*open_, Episode(B, 25, "R", ("R",), 1)], at=100))
    store.commit(TickChanges("g", 200, episodes=ended, at=200))
    assert store.episodes(A) == [open_[2], ended[1], ended[0]]
    assert store.episodes(A, limit=2) == [open_[2], ended[1]]
    assert store.episodes(C) == []


def test_requests_are_found_by_state_and_model_page_by_page(store: Store) -> None:
    """Newest first."""
    made = [record_of(A, start=1), record_of(B, start=3), record_of(C, start=2, state=RequestState.FAILED)]
    store.commit(TickChanges("g", 4, requests=made, at=4))
    ids = {"A": made[0].id, "B": made[1].id, "C": made[2].id}

    def found(**which: object) -> list[str]:
        return [item.id for item in store.requests(RequestFilter(**which))]  # type: ignore[arg-type]

    assert found() == [ids["B"], ids["C"], ids["A"]]
    assert found(limit=1, after=ids["B"]) == [ids["C"]]
    assert found(after=ids["C"]) == [ids["A"]]
    assert found(after=ids["C"], states=(RequestState.FAILED,)) == []
    assert found(after=ids["A"]) == found(after="unknown") == []
    assert found(states=(RequestState.FAILED,)) == [ids["C"]]
    assert found(pipeline="ranking", version="7") == [ids["A"]]
    assert found(project="nope") == []


def test_pruning_drops_what_is_over_and_old_and_nothing_else(store: Store) -> None:
    """Kept: open requests, the latest of a pipeline, requests with deliveries that wait, recent decisions."""
    done: dict[str, object] = {"state": RequestState.SUCCEEDED, "ended_at": 50}
    old, latest = record_of(A, start=10, **done), record_of(A, start=20, **done)
    waiting, still_open = record_of(C, start=5, **done), record_of(C, start=15)
    episodes = [Episode(A, 10, "R", ("R",), 1, 40), Episode(A, 20, "R", ("R",), 1)]
    store.commit(
        TickChanges(
            "g", 50, episodes=episodes, requests=[old, latest, waiting, still_open],
            deliveries=[NewDelivery(waiting.id, HOOK, Kind.FIRING)], decisions=[decision(10), decision(60)], at=50,
        )
    )  # fmt: skip
    assert store.prune(55) == 3
    assert {item.id for item in store.requests(RequestFilter())} == {latest.id, waiting.id, still_open.id}
    assert [item.slot for item in store.decisions(DecisionFilter())] == [60]
    assert [item.started_at for item in store.load(0).episodes] == [20]
    assert store.prune(55) == 0


def test_ten_thousand_rows_are_one_commit(store: Store) -> None:
    """As many models as a large tick moves at once."""
    models = [ModelKey("p", f"pipeline-{number}", "1") for number in range(10_000)]
    rows = [AlertRow("R", "f", model, State.FIRING, 1, 2, 0) for model in models]
    records = [record_of(model, start=2) for model in models[:500]]
    queued_all = [NewDelivery(item.id, HOOK, Kind.FIRING) for item in records]
    store.commit(TickChanges("g", 2, rows, requests=records, deliveries=queued_all, at=2))
    assert len(store.load(0).alerts) == 10_000
    assert store.depths()[HOOK].pending == 500


def test_two_groups_keep_their_own_slots(store: Store) -> None:
    """Slots by group."""
    store.commit(TickChanges("a", 1))
    store.commit(TickChanges("b", 2))
    assert dict(store.load(0).slots) == {"a": 1, "b": 2}


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
    assert not store.settle_bundle(claims, Delivery(Result.DELIVERED), 270, 270, apart=False)
    assert {item.state for item in store.pending_deliveries()} == {"leased"}
    again = [stolen, *store.claim_rest(stolen, 260, 50)]
    assert store.settle_bundle(again, Delivery(Result.DELIVERED), 270, 270, apart=False)
    assert store.pending_deliveries() == []


def test_a_bundle_that_was_refused_is_taken_apart(store: Store) -> None:
    """Each is tried alone from then on."""
    bundled(store, A, C)
    (claim,) = store.claim("team/webhook/0", "w", 200, 50)
    claims = [claim, *store.claim_rest(claim, 200, 50)]
    assert store.settle_bundle(claims, Delivery(Result.RETRY, "http_4xx", 400), 210, 210, apart=True)
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
        store.settle(claim, Delivery(Result.DEAD, "http_4xx", 413), 310, 310)
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
