"""Deliveries of one request as text: state, next attempt and last response, and why none was retried."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bridge.cli.listing import aligned
from bridge.domain.destination import discard_command
from bridge.domain.times import Timestamp, parse_rfc3339

Entry = Mapping[str, Any]
_ANSWER = 200  # characters of a response that are shown
_ENDED = frozenset({"delivered", "dead"})
REMOVED = "destination not configured any more"
_ADVICE = {"retry": ("to retry at once", "retry"), "dead": ("to send the dead ones again", "redrive")}


def delivery_lines(request: Entry, now: Timestamp) -> list[str]:
    """Return a line for each delivery: where to, its state, its next attempt and the last response; then commands."""
    found = [
        (
            item["destination"], item["kind"], f"{item['state']} after {_attempts(item['attempts'])}",
            _outlook(item, now) or f"since {item['updated_at']}", _response(item),
        )
        for item in request["deliveries"]
    ]  # fmt: skip
    lines = aligned(found) if found else ["none: nothing was sent"]
    states = {item["state"] for item in request["deliveries"] if item["configured"] and not _discarded(item)}
    return [
        *lines,
        *(f"{text}: {_command(command, request)}" for state, (text, command) in _ADVICE.items() if state in states),
        *discard_lines(request["deliveries"]),
    ]


def is_unserved(delivery: Entry) -> bool:
    """Return whether a delivery can be discarded: it is not delivered, and its destination was removed."""
    removed: bool = not delivery["configured"]
    return removed and delivery["state"] != "delivered" and not _discarded(delivery)


def discard_lines(deliveries: Iterable[Entry]) -> list[str]:
    """Return for each receiver the command that ends its deliveries to destinations that were removed."""
    commands = {discard_command(item["destination"]) for item in deliveries if is_unserved(item)}
    return [f"to end those whose destination is not configured any more: {command}" for command in sorted(commands)]


def _discarded(delivery: Entry) -> bool:
    return (delivery["state"], delivery["reason"]) == ("dead", "discarded")


def _outlook(delivery: Entry, now: Timestamp) -> str:
    return REMOVED if is_unserved(delivery) else next_attempt(delivery, now)


def next_attempt(delivery: Entry, now: Timestamp) -> str:
    """Return when the next attempt is made; "" if none follows.

    An instant that has passed is when the delivery became due: its destination was not ready, or the bridge was down.
    """
    at = delivery["next_at"]
    if delivery["state"] in _ENDED or at is None:
        return ""
    if parse_rfc3339(at) <= now:
        return f"due since {at}"
    return f"attempt under way, due again at {at}" if delivery["state"] == "leased" else f"next attempt {at}"


def not_retried(request: Entry, deliveries: Iterable[Entry], now: Timestamp) -> list[str]:
    """Return for each of these deliveries of a request why it was not retried."""
    return [f"{item['destination']} ({item['kind']}): {_why_not(item, request, now)}" for item in deliveries]


def _why_not(delivery: Entry, request: Entry, now: Timestamp) -> str:
    if delivery["state"] == "delivered":
        return f"delivered at {delivery['updated_at']}"
    if _discarded(delivery):
        return f"discarded at {delivery['updated_at']}"
    if is_unserved(delivery):
        return f"{delivery['state']}; {REMOVED}"
    if delivery["state"] == "dead":
        return f"dead; {_command('redrive', request)} sends it again"
    return f"{delivery['state']}, {next_attempt(delivery, now)}"


def _command(name: str, request: Entry) -> str:
    return f"retrain-bridge requests {name} {request['id'][:8]}"


def _attempts(number: int) -> str:
    return f"{number} attempt{'' if number == 1 else 's'}"


def _response(delivery: Entry) -> str:
    status = f"HTTP {delivery['status']}" if delivery["status"] else ""
    return " ".join(filter(None, (delivery["reason"], status, shown_answer(delivery["answer"]))))


def shown_answer(text: str) -> str:
    """Return the beginning of an answer, with "..." if it was cut."""
    return text if len(text) <= _ANSWER else f"{text[:_ANSWER]}..."
