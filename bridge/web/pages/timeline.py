"""Timeline of a request: what happened to it, as far as the store knows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bridge.domain.destination import ALERTMANAGER, Destination
from bridge.domain.request import MANUAL, Episode, RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import DeliveryRecord, DeliveryState, Kind
from bridge.web.pages.formats import words


@dataclass(frozen=True, slots=True)
class Step:
    """Event in the life of a request."""

    at: Timestamp
    event: str
    text: str = ""


def timeline(
    record: RequestRecord, deliveries: Sequence[DeliveryRecord], episodes: Sequence[Episode] = ()
) -> list[Step]:
    """Return the events of a request, oldest first. episodes: known ones of its model."""
    made = [item for item in deliveries if item.state is DeliveryState.DELIVERED]
    return sorted([*_of_episode(record, made, episodes), *_of_request(record), *map(_delivered, made)], key=_when)


def _when(step: Step) -> Timestamp:
    return step.at


def _of_request(record: RequestRecord) -> Iterator[Step]:
    yield Step(record.request.triggered_at, "triggered", record.request.reason)
    for act in record.acts:
        yield Step(act.at, act.what, f"by {act.who}" + (f": {act.note}" if act.note else ""))
    if record.sent_at:
        yield Step(record.sent_at, "sent", "to " + (", ".join(record.destinations) or "no destination"))
    if record.ended_at:
        yield Step(record.ended_at, words(record.state.value), record.message)
    elif record.state in {RequestState.ACCEPTED, RequestState.RUNNING}:
        yield Step(record.updated_at, words(record.state.value), record.message)
    if record.verdict is not None:
        yield Step(record.verdict_at, "recovery verdict", words(record.verdict.value))


def _delivered(delivery: DeliveryRecord) -> Step:
    if delivery.kind is Kind.RESOLVED:
        event = "end of the episode delivered"
    else:
        event = "alert fired" if _is_alert(delivery) else "delivered"
    return Step(delivery.updated_at, event, f"to {delivery.destination}, attempt {delivery.attempts}")


def _of_episode(
    record: RequestRecord, delivered: Sequence[DeliveryRecord], episodes: Sequence[Episode]
) -> Iterator[Step]:
    """Yield begin and end of the request's episode; the end resolves its alerts, which needs no delivery."""
    begins = record.request.episode_start
    if record.request.rule != MANUAL:
        yield Step(begins, "episode started")
    ended = next((item for item in episodes if item.started_at == begins and item.ended_at), None)
    if ended is not None:
        alerts = ", ".join(item.destination for item in delivered if _is_alert(item))
        resolved = f"; alert resolved: {alerts}" if alerts else ""
        yield Step(ended.ended_at, "episode ended", f"{ended.end_reason}{resolved}")


def _is_alert(delivery: DeliveryRecord) -> bool:
    return Destination.parse(delivery.destination).integration == ALERTMANAGER
