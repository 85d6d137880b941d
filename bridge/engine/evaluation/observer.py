"""Observer of the daemon: one rule over all models, batch by batch. The counterpart of RetrainObserver."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter

import numpy as np

from bridge.domain.batch import EventBatch
from bridge.engine.evaluation.answers import taken
from bridge.engine.evaluation.expected_models import ExpectedModelsState
from bridge.engine.evaluation.rule import RuleEvaluator


class RuleObserver:
    """Observer that evaluates the batches of its rule's signals and ignores others.

    expected_models: expected models by signal.
    """

    def __init__(self, run: RuleEvaluator, expected_models: Mapping[str, ExpectedModelsState]) -> None:
        self.run = run
        self._expected_models = expected_models
        self._signals = frozenset(run.queries)

    def receive_batch(self, batch: EventBatch) -> None:
        """Evaluate a batch of one of the rule's signals. Raises StrategyError."""
        if batch.name in self._signals:
            began = perf_counter()
            expected = self._expected_models.get(batch.name)
            seen = np.zeros(len(batch.table), np.int64) if expected is None else expected.staged.first_seen
            try:
                self.run.take(taken(batch, self.run.rule), seen)
            finally:
                self.run.spent += perf_counter() - began
