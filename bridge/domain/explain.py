"""Why a rule did, or did not, ask for a retraining of a model: every check in its order."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from bridge.domain.model import ModelKey
from bridge.domain.times import Timestamp


@dataclass(frozen=True, slots=True)
class Check:
    """One step on the way to a request. passed: True leads on, False is where it ends, None is not known."""

    name: str
    passed: bool | None
    text: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One rule and one model at one slot. answer: the one sentence. recomputed: from history, not from what was kept.

    helped: how many retrainings that the rule led to did, in words; "" = none was judged. repeat: a shell command for
    each query, which asks it again at the same instant.
    """

    rule: str
    model: ModelKey
    slot: Timestamp
    answer: str
    checks: tuple[Check, ...]
    repeat: tuple[str, ...]
    recomputed: bool = False
    helped: str = ""


def curl(url: str, query: str, at: Timestamp) -> str:
    """A command that repeats an instant query."""
    parts = ["curl", "-sG", f"{url.rstrip('/')}/api/v1/query"]
    parts += ["--data-urlencode", f"query={query}", "--data-urlencode", f"time={at / 1000:.3f}"]
    return shlex.join(parts)
