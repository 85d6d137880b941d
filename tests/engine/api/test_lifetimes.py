"""Forecast of the next retraining from stored requests."""

from __future__ import annotations

from msgspec import structs

from bridge.domain.model import ModelKey, PipelineKey
from bridge.domain.request import MANUAL, RecoveryVerdict, RequestRecord, RequestState, RetrainRequest
from bridge.domain.shared_cause import SharedCause
from bridge.domain.times import DAY, HOUR, Timestamp
from bridge.engine.api.lifetimes import next_retraining

OWNER = PipelineKey("shop", "ranking")
OTHER = PipelineKey("shop", "search")
T0 = 1_700_000_000_000


def retrained(owner: PipelineKey, day: float, *, rule: str = "R", **more: object) -> RequestRecord:
    """A request whose episode begins on a day, and whose retraining ends two hours later."""
    start = T0 + round(day * DAY)
    model = ModelKey(owner.project, owner.pipeline, str(day))
    request = RetrainRequest(model, "why", start, f"{owner}{day}", rule, start)
    record = RequestRecord(request, RequestState.SUCCEEDED, start, sent_at=start, ended_at=start + 2 * HOUR)
    return structs.replace(record, **more)


def every(owner: PipelineKey, length: float, count: int) -> list[RequestRecord]:
    return [retrained(owner, number * length) for number in range(count)]


def at(day: float) -> Timestamp:
    return T0 + round(day * DAY)


def test_what_lasted_ten_days_is_expected_to_last_ten_days() -> None:
    """From nine lifetimes of its own; the longer it has lasted, the later the next one is expected."""
    found = next_retraining(every(OWNER, 10, 10), OWNER, at(91))
    assert found is not None
    assert (found.since, found.own, found.others) == (at(90) + 2 * HOUR, 9, 0)
    assert at(91) < found.earliest < at(100) < found.latest < at(110)
    late = next_retraining(every(OWNER, 10, 10), OWNER, at(112))
    assert late is not None
    assert late.earliest >= at(112)
    assert late.latest > found.latest


def test_a_pipeline_without_a_past_learns_from_its_siblings() -> None:
    """With a wider interval; a short past of its own counts more than theirs."""
    siblings = [item for name in "abc" for item in every(PipelineKey("shop", name), 20, 6)]
    new = next_retraining([*siblings, retrained(OWNER, 0)], OWNER, at(1))
    assert new is not None
    assert (new.own, new.others) == (0, 15)
    assert new.earliest < at(20) < new.latest
    short = next_retraining([*siblings, *every(OWNER, 5, 6)], OWNER, at(26))
    assert short is not None
    assert short.latest - short.since < new.latest - new.since


def test_too_little_is_no_forecast() -> None:
    """Fewer than three ended lifetimes, no retraining of the pipeline, or one that is still under way."""
    assert next_retraining(every(OWNER, 10, 3), OWNER, at(21)) is None
    assert next_retraining(every(OTHER, 10, 9), OWNER, at(100)) is None
    running = retrained(OWNER, 90, state=RequestState.RUNNING, ended_at=0)
    assert next_retraining([*every(OWNER, 10, 9), running], OWNER, at(91)) is None


def test_only_a_decay_ends_a_lifetime() -> None:
    """Retrainings by hand censor; those that did not help have none; shared causes are not the model's."""
    by_hand = [retrained(OWNER, day, rule=MANUAL) for day in range(0, 100, 2)]
    assert next_retraining(by_hand, OWNER, at(101)) is None
    useless = [retrained(OWNER, day, verdict=RecoveryVerdict.NOT_RECOVERED) for day in range(0, 100, 2)]
    assert next_retraining(useless, OWNER, at(101)) is None
    cause = SharedCause("node", "n7", 17, 20, 0, 80, T0)
    held = [
        retrained(OWNER, day + 5, state=RequestState.WITHDRAWN, sent_at=0, shared_cause=cause)
        for day in range(0, 90, 10)
    ]
    assert next_retraining([*every(OWNER, 10, 10), *held], OWNER, at(91)) == next_retraining(
        every(OWNER, 10, 10), OWNER, at(91)
    )
