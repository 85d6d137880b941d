"""Observer of the daemon: the batches of one rule's signals."""

from __future__ import annotations

import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.model import ModelTable
from bridge.domain.verdict import Cause, Code
from bridge.engine.evaluation.observer import RuleObserver
from bridge.engine.evaluation.rule import RuleEvaluator
from tests.support.world import A, group, rule


def observer(**more: object) -> RuleObserver:
    wanted = group(rule(**more))
    run = RuleEvaluator.of(wanted, wanted.rules[0], ModelTable())
    run.begin()
    return RuleObserver(run, {})


def batch(of: RuleObserver, name: str, cause: Cause = Cause.NONE) -> EventBatch:
    index = np.array([of.run.table.row(A)], np.int32)
    return EventBatch(name, EventKind.DRIFT, 10_000, of.run.table, index, {"value": np.array([0.7])}, cause=cause)


def test_a_batch_of_the_rules_signal_is_evaluated() -> None:
    """The verdict is in the staged columns, and the time is counted."""
    watching = observer()
    watching.receive_batch(batch(watching, "drift"))
    assert watching.run.staged.code.tolist() == [Code.BREACHED]
    assert watching.run.evaluation is not None
    assert watching.run.spent > 0


def test_a_batch_of_another_signal_is_ignored() -> None:
    """No evaluation, no time."""
    watching = observer()
    watching.receive_batch(batch(watching, "latency"))
    assert (watching.run.evaluation, watching.run.spent) == (None, 0.0)


def test_a_partial_batch_counts_as_complete_under_the_policy_use() -> None:
    """Without the policy it is inconclusive."""
    for policies, code in (({}, Code.INCONCLUSIVE), ({Cause.PARTIAL: "use"}, Code.BREACHED)):
        watching = observer(policies=policies)
        watching.receive_batch(batch(watching, "drift", Cause.PARTIAL))
        assert watching.run.staged.code.tolist() == [code]
