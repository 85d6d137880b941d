"""Ticks, requests, decisions and pruning of every store. One contract for all stores."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from bridge.domain.alert import AlertRow, State
from bridge.domain.model import ModelKey
from bridge.domain.request import (
    Episode,
    Feedback,
    HoldReason,
    Outcome,
    RecoveryVerdict,
    RequestState,
)
from bridge.domain.shared_cause import SharedCause
from bridge.ports import (
    DecisionFilter,
    Kind,
    NewDelivery,
    RequestFilter,
    StateChunk,
    Store,
    TickChanges,
)
from tests.support.store_records import HOOK, A, B, C, decision, record_of


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
    done: dict[str, Any] = {"state": RequestState.SUCCEEDED, "verdict": RecoveryVerdict.INCONCLUSIVE}
    held = record_of(start=10, **done, sent_at=80, ended_at=90)
    other = record_of(B, start=20, **done, sent_at=20, ended_at=30)
    store.commit(TickChanges("g", 100, requests=[held, other], at=100))
    assert list(store.load(1000).requests) == [held]
    store.prune(500)
    assert store.request(held.id) == held
    assert store.request(other.id) is None


def test_a_load_brings_what_is_open_lately_ended_or_the_latest_of_its_pipeline(store: Store) -> None:
    """Old closed episodes stay behind; the pipeline's latest request comes along, for the cooldown."""
    old, latest, other = record_of(start=10), record_of(B, start=50), record_of(C, start=60)
    done: dict[str, Any] = {"state": RequestState.SUCCEEDED, "ended_at": 90, "verdict": RecoveryVerdict.RECOVERED}
    episodes = [Episode(item.request.model, item.request.episode_start, "R", ("R",), 1, 90) for item in (old, latest)]
    records = [structs.replace(item, **done) for item in (old, latest)]
    store.commit(TickChanges("g", 100, episodes=episodes, requests=[*records, other], at=100))
    assert [item.id for item in store.load(91).requests] == [latest.id, other.id]
    assert list(store.load(91).episodes) == []
    assert len(store.load(90).requests) == 3


def test_every_field_of_a_request_is_stored(store: Store) -> None:
    """Text of any kind and numbers that JSON has no word for."""
    made = record_of(state=RequestState.HELD, hold=HoldReason.COOLDOWN, hold_until=7, message="m", new_version="9")
    store.save_request(made)
    assert store.request(made.id) == made
    assert store.request("0" * 32) is None


def test_a_shared_cause_and_feedback_survive(store: Store) -> None:
    """With the evidence, by the tick and by a later change; feedback is counted by rule, one opinion per request."""
    cause = SharedCause("node", 'n"7', 17, 20, 1, 80, 9, ("shop/ranking", "shop/search"))
    held = record_of(state=RequestState.HELD, hold=HoldReason.NOT_THE_MODEL, shared_cause=cause)
    store.commit(TickChanges("g", 100, requests=[held], at=100))
    assert list(store.load(0).requests) == [held]
    assert store.feedback() == {}
    for opinion in (Feedback.FALSE, Feedback.LATE):
        said = structs.replace(held, feedback=opinion)
        store.save_request(said)
        assert store.request(held.id) == said
    store.save_request(record_of(B, feedback=Feedback.LATE))
    assert store.feedback() == {"R": {Feedback.LATE: 2}}


def test_decisions_are_found_by_model_rule_and_time_newest_first(store: Store) -> None:
    """A decision about a whole rule has no model."""
    told = [decision(1), decision(2, B), decision(3, None, "Other"), decision(4, A, "Other")]
    store.commit(TickChanges("g", 4, decisions=told, at=4))
    assert store.decisions(DecisionFilter()) == told[::-1]
    assert store.decisions(DecisionFilter(A)) == [told[3], told[0]]
    part = DecisionFilter(project=A.project, pipeline=A.pipeline)
    assert store.decisions(part) == [item for item in told[::-1] if part.fits(item)]
    assert 0 < len(store.decisions(part)) < len(told)
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
    ended = [structs.replace(item, ended_at=item.started_at + 5, end_reason="back to normal") for item in open_[:2]]
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
    assert found(since=2) == [ids["B"], ids["C"]]
    assert found(until=2) == [ids["C"], ids["A"]]
    assert found(since=2, until=2) == found(since=2, after=ids["B"]) == [ids["C"]]
    assert found(since=4) == []


def test_pruning_drops_what_is_over_and_old_and_nothing_else(store: Store) -> None:
    """Kept: open requests, the latest of a pipeline, requests with deliveries that wait, recent decisions."""
    done: dict[str, Any] = {"state": RequestState.SUCCEEDED, "ended_at": 50}
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
