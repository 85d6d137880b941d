"""Recovery verdicts: whether a retraining helped, judged by the rules that led to it, over the new version. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from bridge.domain.alert import State
from bridge.domain.model import ModelKey
from bridge.domain.request import MANUAL, RecoveryVerdict, RequestRecord
from bridge.domain.rule import RuleKind
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Code
from bridge.engine.evaluation.rule import RuleEvaluator


def verdict(
    record: RequestRecord,
    rules: Sequence[str],
    runs: Mapping[str, RuleEvaluator],
    slot: Timestamp,
    settle: Duration,
    limit: Duration,
) -> tuple[RecoveryVerdict, str] | None:
    """Return whether a successful retraining helped, and why; None = too early to judge.

    rules: rules that led to it or joined its episode. For a manual request, all rules that have seen the model count.
    settle: time after its end before the rules are read, in ms.
    limit: time after its end at which the verdict becomes inconclusive, in ms.
    """
    if slot - record.ended_at < settle:
        return None
    model = judged_model(record)
    linked = [runs[name] for name in rules if name in runs]
    if record.request.rule == MANUAL:
        linked = [run for run in runs.values() if run.rule.kind is RuleKind.RETRAIN and _knows(run, model)]
    if not linked:
        return RecoveryVerdict.INCONCLUSIVE, "no rule can judge it"
    states = {run.rule.name: _state(run, model, record.ended_at) for run in linked}
    firing = [name for name, healthy in states.items() if healthy is False]
    if firing:
        return RecoveryVerdict.NOT_RECOVERED, f"{', '.join(firing)} firing for {model}"
    former = record.request.model
    # The former version may still serve, and fire.
    replaced = all(_state(run, former, record.ended_at) is not False for run in linked)
    if all(states.values()) and replaced:
        return RecoveryVerdict.RECOVERED, f"{', '.join(states)} healthy for {model}"
    if slot - record.ended_at >= limit:
        unsure = (
            ", ".join(name for name, healthy in states.items() if healthy is None)
            or f"with {former} still firing, the rules"
        )
        return RecoveryVerdict.INCONCLUSIVE, f"{unsure} gave no verdict within verdict.limit"
    return None


def judged_model(record: RequestRecord) -> ModelKey:
    """Return the version that the retraining produced, if the coordinator reported it."""
    model = record.request.model
    return replace(model, version=record.new_version) if record.new_version else model


def _state(run: RuleEvaluator, model: ModelKey, ended_at: Timestamp) -> bool | None:
    """Return True for healthy, False for firing, None for unknown or in between."""
    if run.last_evaluation <= ended_at or run.health != "ok":
        return None
    row = run.table.find(model)
    if row is None or row >= len(run.staged.code):
        return True if run.strategy is None and not run.parts else None
    state, code = run.staged.alerts.state[row], run.staged.code[row]
    if state == State.FIRING:
        return None if code in {Code.OK, Code.INCONCLUSIVE} else False
    return True if state == State.INACTIVE and code in {Code.OK, Code.BAND} else None


def _knows(run: RuleEvaluator, model: ModelKey) -> bool:
    row = run.table.find(model)
    return row is not None and row < len(run.staged.known) and bool(run.staged.known[row])
