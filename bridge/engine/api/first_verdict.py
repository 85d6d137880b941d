"""Text about the first verdicts on a model: what they wait for, and what they do not detect yet, until when."""

from __future__ import annotations

from bridge.domain.times import format_duration, rfc3339
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.never_judged import longest_of
from bridge.engine.evaluation.rule import RuleEvaluator


def awaited(run: RuleEvaluator, row: int, cause: Cause) -> str:
    """Return what an inconclusive verdict waits for, as a clause that begins with a semicolon; empty if unknown."""
    return _reading(run, cause) or _never_judged(run, row) or _warm_up(run, row, cause)


def detected(run: RuleEvaluator, row: int) -> str:
    """Return what a rule with a verdict on a model detects so far, and from when the rest; "" = all, or unknown."""
    now = run.live
    if now.code[row] == Code.INCONCLUSIVE:
        return ""
    parts = [(run.strategy, now.state, "")]
    parts += [
        (part.strategy, own.state, f"{part.query.name}: ") for part, own in zip(run.parts, now.parts, strict=True)
    ]
    told = [
        (name, strategy.detects(state[row : row + 1]))
        for strategy, state, name in parts
        if strategy is not None and state is not None
    ]
    return "; ".join(name + text for name, text in told if text)


def _reading(run: RuleEvaluator, cause: Cause) -> str:
    if cause is not Cause.WARMING_UP or not run.behind:
        return ""
    reached = min(run.behind.values())
    so_far = f"; it has reached {rfc3339(reached)}" if reached > 0 else ""
    return f"; the bridge is still reading the history of this signal{so_far}"


def _never_judged(run: RuleEvaluator, row: int) -> str:
    if row not in run.never_judged():
        return ""
    elapsed, limit = format_duration(run.last_evaluation - int(run.live.since[row])), format_duration(run.patience)
    return f"; there have been values for {elapsed} without a verdict, which should take at most {limit}"


def _warm_up(run: RuleEvaluator, row: int, cause: Cause) -> str:
    """Return when a model that is still warming up can be judged, as far as the strategy states it."""
    since = int(run.live.since[row])
    longest = longest_of((run.strategy, *(part.strategy for part in run.parts)), run.rule.warm_up)
    if cause is not Cause.WARMING_UP or since <= 0 or not longest:
        return ""
    return (
        f"; nothing can be seen yet: verdicts are expected from {rfc3339(since + longest)} on,"
        f" after {format_duration(longest)} of values"
    )
