"""Deliveries of one request as text: state, next attempt and last response, and why none was retried."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.cli.listing import aligned
from bridge.domain.times import Timestamp, parse_rfc3339

Entry = Mapping[str, Any]
_ANSWER = 200  # characters of a response that are shown
_ENDED = frozenset({"delivered", "dead"})
_ADVICE = {"retry": ("to retry at once", "retry"), "dead": ("to send the dead ones again", "redrive")}


def delivery_lines(request: Entry, now: Timestamp) -> list[str]:
    """Return a line for each delivery: where to, its state, its next attempt and the last response; then commands."""
    found = [
        (
            item["destination"], item["kind"], f"{item['state']} after {_attempts(item['attempts'])}",
            next_attempt(item, now) or f"since {item['updated_at']}", _response(item),
        )
        for item in request["deliveries"]
    ]  # fmt: skip
    lines = aligned(found) if found else ["none: nothing was sent"]
    states = {item["state"] for item in request["deliveries"]}
    return lines + [
        f"{text}: {_command(command, request)}" for state, (text, command) in _ADVICE.items() if state in states
    ]


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


def nothing_retried(request: Entry, now: Timestamp) -> list[str]:
    """Return for each delivery of a request why it was not retried."""
    return [f"{item['destination']} ({item['kind']}): {_why_not(item, request, now)}" for item in request["deliveries"]]


def _why_not(delivery: Entry, request: Entry, now: Timestamp) -> str:
    if delivery["state"] == "delivered":
        return f"delivered at {delivery['updated_at']}"
    if delivery["state"] == "dead":
        return f"dead; {_command('redrive', request)} sends it again"
    return f"{delivery['state']}, {next_attempt(delivery, now)}"


def _command(name: str, request: Entry) -> str:
    return f"retrain-bridge requests {name} {request['id'][:8]}"


def _attempts(number: int) -> str:
    return f"{number} attempt{'' if number == 1 else 's'}"


def _response(delivery: Entry) -> str:
    status = f"HTTP {delivery['status']}" if delivery["status"] else ""
    return " ".join(filter(None, (delivery["reason"], status, delivery["answer"][:_ANSWER])))
