"""One request as text: state and gate, reason, values, deliveries, runs, actions and feedback."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.cli.delivery_text import delivery_lines
from bridge.cli.listing import aligned
from bridge.cli.names import model_name
from bridge.cli.readings import limit_text, value_text
from bridge.domain.times import Timestamp

Entry = Mapping[str, Any]


def request_lines(request: Entry, now: Timestamp) -> Iterator[str]:
    """Yield the lines. request: of the API, with its deliveries and runs."""
    yield f"Request {request['id']}"
    yield from _facts(request)
    yield from _titled("Values", [_value(item) for item in request["evidence"]])
    yield from _titled("Deliveries", delivery_lines(request, now))
    if request["runs"]:
        yield from _titled("Runs", aligned([_run(item) for item in request["runs"]]))
    if request["acts"]:
        yield from _titled("Actions", [_act(item) for item in request["acts"]])


def _facts(request: Entry) -> Iterator[str]:
    """Yield one line for each fact that is known."""
    facts = {
        "model": model_name(request), "state": _state(request), "reason": request["reason"],
        "rule": f"{request['rule']}, attempt {request['attempt']} of the episode since {request['episode_start']}",
        "triggered": request["triggered_at"], "sent": request["sent_at"], "ended": request["ended_at"],
        "shared cause": request["shared_cause"] and request["shared_cause"]["text"],
        "reference": request["reference"], "link": request["link"], "new version": request["new_version"],
        "message": request["message"], "recovery": _recovery(request),
        "feedback": request["feedback"] or f"none yet; retrain-bridge feedback {request['id'][:8]} useful|false|late",
    }  # fmt: skip
    return iter(aligned([(f"  {name}:", str(value)) for name, value in facts.items() if value]))


def _state(request: Entry) -> str:
    """Return the state, and which gate holds the request until when."""
    if not request["hold"]:
        return str(request["state"])
    if request["hold"] == "approval":
        return f"{request['state']}: retrain-bridge requests approve {request['id'][:8]}"
    until = request["hold_until"]
    return f"{request['state']} by the gate {request['hold']}, " + (
        f"until {until} at the earliest" if until else f"until the gate opens ({_ADVICE})"
    )


_ADVICE = "retrain-bridge explain lists every gate"


def _recovery(request: Entry) -> str:
    return f"{request['verdict']} at {request['verdict_at']}" if request["verdict"] else ""


def _value(item: Entry) -> str:
    limit = limit_text(item)
    return f"{item['rule']}: {item['signal']} {value_text(item) or 'no data'}" + (f", {limit}" if limit else "")


def _run(item: Entry) -> tuple[str, ...]:
    """Return the cells of a run."""
    ended = f"ended {item['ended_at']}" if item["ended_at"] else "overdue" if item["overdue"] else ""
    name = item["reference"] or item["name"]
    return (item["destination"], name, item["state"], ended, " ".join(filter(None, (item["message"], item["link"]))))


def _act(item: Entry) -> str:
    return f"{item['at']} {item['what']} by {item['who']}" + (f": {item['note']}" if item["note"] else "")


def _titled(title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{title}:"
        yield from (f"  {line.strip()}" for line in lines)
