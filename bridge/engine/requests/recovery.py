"""Did a retraining help? Judged by the rules that asked for it, over the version that it made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

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
    """Whether a retraining that succeeded helped, and why one thinks so; None: it is too early to say.

    rules: that led to it, or joined its episode; of a request by hand, all that know the model count.
    settle: how long after its end the rules are first looked at. limit: how long after it this is given up.
    """
    if slot - record.ended_at < settle:
        return None
    model = judged_model(record)
    linked = [runs[name] for name in rules if name in runs]
    if record.request.rule == MANUAL:
        linked = [run for run in runs.values() if run.rule.kind is RuleKind.RETRAIN and _knows(run, model)]
    if not linked:
        return RecoveryVerdict.INCONCLUSIVE, "there is no rule that could say"
    found = {run.rule.name: _state(run, model, record.ended_at) for run in linked}
    bad = [name for name, good in found.items() if good is False]
    if bad:
        return RecoveryVerdict.NOT_RECOVERED, f"{', '.join(bad)} fires for {model}"
    former = record.request.model
    replaced = all(_state(run, former, record.ended_at) is not False for run in linked)  # else it serves on, and fires
    if all(found.values()) and replaced:
        return RecoveryVerdict.RECOVERED, f"{', '.join(found)} healthy for {model}"
    if slot - record.ended_at >= limit:
        unsure = ", ".join(name for name, good in found.items() if good is None) or f"with {former} still firing, they"
        return RecoveryVerdict.INCONCLUSIVE, f"{unsure} could not say within verdict_limit"
    return None


def judged_model(record: RequestRecord) -> ModelKey:
    """The version that the retraining made, if the coordinator said which."""
    model = record.request.model
    return replace(model, version=record.new_version) if record.new_version else model


def _state(run: RuleEvaluator, model: ModelKey, ended_at: Timestamp) -> bool | None:
    """True: healthy, False: fires, None: not known, or on the way from one to the other."""
    if run.last_evaluation <= ended_at or run.health != "ok":
        return None
    place = run.table.find(model)
    if place is None or place >= len(run.staged.code):
        return True if run.strategy is None and not run.parts else None
    state, code = run.staged.alerts.state[place], run.staged.code[place]
    if state == State.FIRING:
        return None if code in {Code.OK, Code.INCONCLUSIVE} else False
    return True if state == State.INACTIVE and code in {Code.OK, Code.BAND} else None


def _knows(run: RuleEvaluator, model: ModelKey) -> bool:
    place = run.table.find(model)
    return place is not None and place < len(run.staged.known) and bool(run.staged.known[place])
