"""Explanation of why a rule did, or did not, request a retraining of a model: every check in order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bridge.domain.model import ModelKey
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class Check:
    """One step on the way to a request.

    passed: True = the next check follows; False = the request stops here; None = unknown.
    """

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """Explanation for one rule and one model at one slot.

    answer: the conclusion in one sentence.
    repeat: one shell command per query that repeats it at the same time.
    recomputed: True if the explanation was recomputed from history instead of read from stored state.
    helped: how many retrainings that the rule led to helped, in words; "" = none has a recovery verdict.
    detects: what the rule detects on the model so far, and from when the rest, in words; "" = all, or unknown.
    """

    rule: str
    model: ModelKey
    slot: Timestamp
    answer: str
    checks: tuple[Check, ...]
    repeat: tuple[str, ...]
    recomputed: bool = False
    helped: str = ""
    detects: str = ""


def curl(url: str, query: str, at: Timestamp) -> str:
    """Return a shell command that repeats an instant query."""
    parts = ["curl", "-sG", f"{url.rstrip('/')}/api/v1/query"]
    parts += ["--data-urlencode", f"query={query}", "--data-urlencode", f"time={at / 1000:.3f}"]
    return shlex.join(parts)
