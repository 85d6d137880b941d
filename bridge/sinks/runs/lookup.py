"""Reading of look-ups: whether there is a run of this name, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from bridge.net.session import Answer
from bridge.sinks.runs.caller import succeeded
from bridge.sinks.runs.calls import LookupCall
from bridge.sinks.runs.expression import decoded, find, find_link, find_text
from bridge.sinks.runs.template import Variables, render


@dataclass(frozen=True, slots=True)
class FoundRun:
    """Run that exists on the server. reference: the server's id. link: its URL, "" = unknown."""

    reference: str
    link: str = ""


class Answered(Enum):
    """Result of a look-up that found no run of this bridge."""

    ABSENT = "absent"
    FOREIGN = "foreign"  # a run of this name that does not match
    UNCLEAR = "unclear"  # the response does not say


def find_run(call: LookupCall, answer: Answer, variables: Variables, name: str) -> FoundRun | Answered:
    """Return the run that a look-up found; of several the first. name: name of the run."""
    if answer.status in call.absent:
        return Answered.ABSENT
    body = decoded(answer.body)
    if not succeeded(call, answer) or body is None:
        return Answered.UNCLEAR
    item = find(call.item, body)
    candidates = item if isinstance(item, list) else [item] if item not in (None, False, "") else []
    ours = [candidate for candidate in candidates if _matches(call, candidate, variables)]
    for candidate in ours:
        reference = find_text(call.run, candidate) if call.run else name
        if reference:
            return FoundRun(reference, find_link(call.link, candidate))
    return Answered.FOREIGN if candidates and not isinstance(item, list) else Answered.ABSENT


def _matches(call: LookupCall, candidate: Any, variables: Variables) -> bool:
    return all(find(expression, candidate) == render(wanted, variables) for expression, wanted in call.match.items())
