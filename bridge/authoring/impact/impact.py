"""Impact of the requests in a period: counts by rule and pipeline, a comparison with breaches that were not retrained,
and advice for each rule.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.authoring.impact import differences
from bridge.authoring.impact.differences import Differences
from bridge.authoring.impact.intervals import Estimate, difference, share

COLUMNS = {
    "name": "name", "requests": "requests", "sent": "sent", "helped": "helped", "not_helped": "did not help",
    "inconclusive": "inconclusive", "failed": "failed", "ended_alone": "ended unsent", "expired": "expired held",
}  # fmt: skip
WINDOW = "6h"  # before and after, over which signals are compared
ENOUGH = 5  # observations, for advice
HALF, MANY = 0.5, 0.3
_HELD = re.compile(r"\bheld: (\w+)")
ASSUMPTIONS = (
    "A retraining helped if the rules that requested it became healthy for the new version.",
    "A breach without a retraining is one whose request a gate held until it was withdrawn or expired.",
    "If the breach ended while its request was held, it recovered by itself; if the request expired, it did not.",
    "The difference is the effect of retraining only if gates hold requests by chance.",
    "Without a retraining, the retrained models would then have recovered as often as the others.",
    "Breaches that end by themselves also count as recovered when there was a retraining.",
)


@dataclass(slots=True)
class Tally:
    """Counts of requests.

    ended_alone: held until the breach ended, and never sent. expired: held until hold_limit, and never sent.
    false, late: feedback of operators.
    """

    requests: int = 0
    sent: int = 0
    helped: int = 0
    not_helped: int = 0
    inconclusive: int = 0
    failed: int = 0
    ended_alone: int = 0
    expired: int = 0
    false: int = 0
    late: int = 0
    held: Counter[str] = field(default_factory=Counter)

    def add(self, request: Mapping[str, Any]) -> None:
        """Count a request of the API."""
        self.requests += 1
        state, sent = request["state"], request["sent_at"] is not None
        self.sent += sent
        self.helped += request["verdict"] == "recovered"
        self.not_helped += request["verdict"] == "not_recovered"
        self.inconclusive += request["verdict"] == "inconclusive"
        self.failed += state in {"failed", "lost", "undelivered", "cancelled"}
        withdrawn_by_hand = any(act["what"] == "withdraw" for act in request["acts"])
        self.ended_alone += state == "withdrawn" and not sent and not withdrawn_by_hand
        self.expired += state == "expired" and not sent
        self.false += request.get("feedback") == "false"
        self.late += request.get("feedback") == "late"

    def row(self, name: str) -> dict[str, Any]:
        """Return the counts under the keys of COLUMNS."""
        return {"name": name, **{key: getattr(self, key) for key in COLUMNS if key != "name"}}


@dataclass(frozen=True, slots=True)
class Impact:
    """Impact of a period.

    retrained, alone: shares of models that recovered after a retraining, and without one; None without observations.
    effect: their difference, None if either is unknown.
    changes: how signals changed, compared with models and breaches without a retraining; None if not read.
    """

    total: Tally
    rules: Mapping[str, Tally]
    pipelines: Mapping[str, Tally]
    retrained: Estimate | None
    alone: Estimate | None
    effect: Estimate | None
    changes: Differences | None = None

    def to_json(self) -> dict[str, Any]:
        """Return everything as JSON types."""
        return {
            "total": self.total.row("all"),
            "rules": [
                item.row(name) | {"held": dict(item.held), **self._advice(name)} for name, item in self.rules.items()
            ],
            "pipelines": [item.row(name) | {"held": dict(item.held)} for name, item in self.pipelines.items()],
            "held": dict(self.total.held),
            "retrained": _json(self.retrained), "alone": _json(self.alone), "effect": _json(self.effect),
            "difference_in_differences": _changes_json(self.changes), "assumptions": self.assumptions(),
        }  # fmt: skip

    def assumptions(self) -> list[str]:
        """Return what the comparisons assume."""
        more = [text.format(window=WINDOW) for text in differences.ASSUMPTIONS] if self.changes is not None else []
        return [*ASSUMPTIONS, *more]

    def _advice(self, rule: str) -> dict[str, str]:
        what, why = advice(self.rules[rule])
        return {"advice": what, "why": why}


def impact(requests: Iterable[Mapping[str, Any]], held: Iterable[Mapping[str, Any]]) -> Impact:
    """Return the impact. requests: of the API. held: decisions of the API with the outcome `held`."""
    total, rules, pipelines = Tally(), dict[str, Tally](), dict[str, Tally]()
    by_id: dict[str, Sequence[Tally]] = {}
    for request in requests:
        pipeline = f"{request['project']}/{request['pipeline']}"
        counted = (total, rules.setdefault(request["rule"], Tally()), pipelines.setdefault(pipeline, Tally()))
        by_id[request["id"]] = counted
        for tally in counted:
            tally.add(request)
    pairs = {(item["request_id"], gate[1]) for item in held if (gate := _HELD.search(item["reason"]))}
    for request_id, gate_name in sorted((pair for pair in pairs if pair[0] in by_id), key=str):
        for tally in by_id[request_id]:
            tally.held[gate_name] += 1
    retrained = share(total.helped, total.helped + total.not_helped)
    alone = share(total.ended_alone, total.ended_alone + total.expired)
    effect = difference(retrained, alone) if retrained is not None and alone is not None else None
    return Impact(total, _sorted(rules), _sorted(pipelines), retrained, alone, effect)


def advice(tally: Tally) -> tuple[str, str]:
    """Return what to do with a rule, and why: delete, tighten, loosen, keep, or wait."""
    judged = tally.helped + tally.not_helped
    helped = share(tally.helped, judged)
    if helped is not None and judged >= ENOUGH and helped.high < HALF:
        return "delete or replace", f"{tally.helped} of {judged} retrainings helped"
    if tally.requests >= ENOUGH and tally.false >= MANY * tally.requests:
        return "tighten", f"operators called {tally.false} of {tally.requests} requests false"
    if tally.requests >= ENOUGH and tally.ended_alone >= MANY * tally.requests:
        ended = f"{tally.ended_alone} of {tally.requests} breaches ended by themselves"
        return "tighten", f"{ended} while a gate held their requests: with a longer `for` there would be no request"
    if tally.requests >= ENOUGH and tally.late >= MANY * tally.requests:
        return "loosen", f"operators called {tally.late} of {tally.requests} requests late"
    if helped is not None and judged >= ENOUGH:
        return "keep", f"{tally.helped} of {judged} retrainings helped"
    return "wait", f"outcomes of {_count(judged, 'retraining')}; advice needs {ENOUGH}"


def sentences(found: Impact, last: str) -> list[str]:
    """Return the results in sentences. last: the period, as a duration."""
    total = found.total
    retrained = _count(total.helped, "retraining")
    counts = f"{_count(total.requests, 'request')}, {total.sent} sent; {retrained} helped, {total.not_helped} did not"
    said = [f"In the last {last}: {counts}, {total.inconclusive} inconclusive."]
    if found.effect is not None and found.retrained is not None and found.alone is not None:
        low, high = (round(100 * bound) for bound in (found.effect.low, found.effect.high))
        said.append(
            f"After a retraining, {100 * found.retrained.value:.0f} % of models recovered; without one,"
            f" {100 * found.alone.value:.0f} %. The difference is {round(100 * found.effect.value)} percentage points"
            f" (95 % interval {low} to {high})."
        )
    else:
        said.append("Breaches with and without a retraining cannot be compared yet: one group has no outcome.")
    if found.changes is not None:
        said += _changed(found.changes)
    if total.held:
        gates = ", ".join(f"{name} {count}" for name, count in total.held.most_common())
        said.append(f"Held by gates (requests): {gates}.")
    return said


def _changed(found: Differences) -> Iterator[str]:
    """Yield the differences in differences in sentences."""
    of = f"Change of the signal over {_count(found.retrainings, 'retraining')} ({WINDOW} after minus {WINDOW} before)"
    least, paired = differences.LEAST, _count(found.with_siblings, "retraining")
    others = f"the change over {_count(found.untreated, 'breach', 'es')} without a retraining"
    for estimate, whom, few in (
        (found.siblings, f"the change of siblings ({paired} with siblings)", f"{least} retrainings with siblings"),
        (found.breaches, others, f"{least} retrainings and {least} such breaches"),
    ):
        if estimate is None:
            yield f"{of}: cannot be compared with {whom} yet; at least {few} are needed."
        else:
            value, low, high = (f"{round(100 * number):+d}" for number in (estimate.value, estimate.low, estimate.high))
            yield f"{of}, minus {whom}: {value} % of the limit (95 % interval {low} to {high})."


def _changes_json(found: Differences | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "retrainings": found.retrainings, "with_siblings": found.with_siblings, "untreated": found.untreated,
        "siblings": _json(found.siblings), "breaches": _json(found.breaches),
    }  # fmt: skip


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}{'' if number == 1 else plural}"


def _sorted(tallies: Mapping[str, Tally]) -> dict[str, Tally]:
    key: Callable[[tuple[str, Tally]], tuple[int, str]] = lambda pair: (-pair[1].requests, pair[0])  # noqa: E731
    return dict(sorted(tallies.items(), key=key))


def _json(estimate: Estimate | None) -> dict[str, float] | None:
    return None if estimate is None else {"value": estimate.value, "low": estimate.low, "high": estimate.high}
