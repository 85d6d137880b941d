"""A random script of breaches, the episodes that it must make, and how a bridge's log shows what it saw in time.

The episodes are worked out here from `for` and `keep_firing_for` alone, before any bridge is started.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from tests.support.bridge import Json, Model, expected_id, steps

SECOND = 1000
TimePeriod = tuple[int, int]


@dataclass(frozen=True)
class Timing:
    """A rule: its group, its metric, and its two durations in ms."""

    group: str
    metric: str
    for_: int
    keep: int


RULES = {
    "Drifted": Timing("serving", "model_drift_score", 2 * SECOND, 0),
    "Erring": Timing("errors", "model_error_score", 0, 2 * SECOND),
}


def rules(cooldown: str = "0s") -> Json:
    """RULES as a rule file; every group is evaluated each second."""
    groups = []
    for name, timing in RULES.items():
        rule = {
            "retrain": name, "signal": "s", "strategy": {"threshold": {"max": 0.6}}, "cooldown": cooldown,
            "for": f"{timing.for_}ms" if timing.for_ else "0s",
            "keep_firing_for": f"{timing.keep}ms" if timing.keep else "0s",
        }  # fmt: skip
        signals = {"s": {"event": "drift", "expr": timing.metric}}
        groups.append({"name": timing.group, "interval": "1s", "signals": signals, "rules": [rule]})
    return {"groups": groups}


@dataclass(frozen=True)
class Episode:
    """What must come of a breach: slots [starts, ends) fire, in ms."""

    model: Model
    rule: str
    starts: int
    ends: int

    def id(self, attempt: int = 1) -> str:
        return expected_id(self.model, self.rule, self.starts, attempt)


def episodes(model: Model, rule: str, breaches: Sequence[TimePeriod]) -> list[Episode]:
    """Those of one model, whose breaches [from, to) are in order."""
    timing, found = RULES[rule], list[Episode]()
    for begins, over in breaches:
        if found and begins <= found[-1].ends and timing.keep:
            last = found.pop()
            found.append(Episode(model, rule, last.starts, over + timing.keep))
        elif begins + timing.for_ < over:
            found.append(Episode(model, rule, begins + timing.for_, over + timing.keep))
    return found


@dataclass(frozen=True)
class Flow:
    """Breaches by model, and what must come of them. begins, ends: of the script, ms."""

    begins: int
    ends: int
    breaches: Mapping[str, Mapping[Model, Sequence[TimePeriod]]]

    def expected(self) -> list[Episode]:
        return [
            episode
            for rule, models in self.breaches.items()
            for model, spans in models.items()
            for episode in episodes(model, rule, spans)
        ]

    def samples(self, rule: str) -> dict[Model, list[tuple[int, float]]]:
        """Return a sample a second. The last ones are healthy: Prometheus takes them for five minutes more."""
        return {model: steps(self.begins, self.ends, spans) for model, spans in self.breaches[rule].items()}


def flow(rng: random.Random, begins: int, seconds: int, *, in_turns: bool = True) -> Flow:
    """A script of about `seconds`: three pipelines a rule, one of them with two versions.

    in_turns: these two are never breached together, so that neither request waits for the other.
    """
    ends = begins + seconds * SECOND
    breaches: dict[str, dict[Model, list[TimePeriod]]] = {}
    for rule in RULES:
        found = breaches[rule] = {}
        for number in range(3):
            models = [("shop", f"{rule.lower()}-{number}", version) for version in ("7", "8")[: 1 + (number == 2)]]
            found.update({model: [] for model in models})
            for together in [models] if in_turns else [[model] for model in models]:
                for span in _spans(rng, begins, ends):
                    found[rng.choice(together)].extend(span)
    last = max(over for models in breaches.values() for spans in models.values() for _, over in spans)
    return Flow(begins, last + 3 * SECOND, breaches)


def _spans(rng: random.Random, begins: int, ends: int) -> Iterator[list[TimePeriod]]:
    """Breaches in order; two at once: once more within keep_firing_for, or just after it."""
    at = begins + rng.randint(0, 4) * SECOND
    while at < ends:
        over = at + rng.randint(1, 10) * SECOND
        found = [(at, over)]
        if rng.random() < 0.2:
            found.append((over + SECOND, over + 3 * SECOND))
            over += 3 * SECOND
        yield found
        at = over + rng.randint(4, 8) * SECOND


_TICK = re.compile(r"^ts=\S+ .* msg=evaluated group=(\S+) slot=(\S+)Z ", re.MULTILINE)


def seen(log: str) -> dict[str, list[int]]:
    """group -> the slots (ms) that were evaluated at their time, as the log of a bridge at level debug has them."""
    found: dict[str, list[int]] = {}
    for group, slot in _TICK.findall(log):
        found.setdefault(group, []).append(round(datetime.fromisoformat(slot + "+00:00").timestamp() * 1000))
    return found


def unseen(slots: Sequence[int], episode: Episode) -> bool:
    """Whether the whole episode lies between two slots that were evaluated one after the other."""
    return any(a < episode.starts and episode.ends <= b for a, b in pairwise(slots))
