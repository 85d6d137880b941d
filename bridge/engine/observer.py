"""The observer of the daemon: one rule over all models. The same idea as RetrainObserver, batch by batch."""

from __future__ import annotations

from bridge.domain.batch import EventBatch
from bridge.engine.rule_run import RuleRun


class RuleObserver:
    """Takes the batches of its rule's signal and judges them; others pass by."""

    def __init__(self, run: RuleRun) -> None:
        self.run = run

    def receive_batch(self, batch: EventBatch) -> None:
        """Judge a batch of this rule's signal; raises StrategyError when the strategy could not."""
        if batch.name == self.run.rule.query:
            self.run.evaluate(batch)
