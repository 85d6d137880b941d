"""Base class of strategies: one of two methods, state of single models, and errors of plug-ins."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.errors import InternalError, StrategyError
from bridge.domain.event import Drift, ModelEvent
from bridge.domain.model import ModelKey, ModelTable
from bridge.domain.request import RetrainRequest
from bridge.domain.verdict import Cause, Code, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, guarded, signal_word

MODEL = ModelKey("shop", "ranking", "7")
REQUEST = RetrainRequest(MODEL, "why", 0, "id", "single", 0)


class Single(RetrainStrategy):
    """Strategy on single events that is breached above 1."""

    name = "single"

    def __init__(self, config: StrategyConfig | None = None) -> None:
        self.seen: list[float] = []

    def analyse(self, model: ModelKey, event: ModelEvent) -> RetrainRequest | None:
        assert isinstance(event, Drift)
        score = event.score
        self.seen.append(score)
        return REQUEST if score > 1 else None


class Counting(RetrainStrategy):
    """Strategy on columns that is breached from the third sample on."""

    name = "counting"
    state_dtype = np.dtype([("n", np.int64)])

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        assert state is not None
        state["n"] += 1
        verdicts = Verdicts.inconclusive(len(batch), Cause.NONE)
        verdicts.code[:] = np.where(state["n"] >= 3, Code.BREACHED, Code.OK)
        return replace(verdicts, statistic=state["n"].astype(float), threshold=np.full(len(batch), 2.0))


def batch(*values: float, name: str = "score", event: EventKind = EventKind.DRIFT) -> EventBatch:
    table = ModelTable()
    index = np.array([table.row(ModelKey("shop", f"p{number}", "1")) for number in range(len(values))], np.int32)
    return EventBatch(name, event, 1000, table, index, {"value": np.array(values)})


def test_a_strategy_defines_one_of_the_two_methods() -> None:
    with pytest.raises(TypeError, match="Neither must define analyse_batch or analyse"):

        class Neither(RetrainStrategy):
            name = "neither"


def test_single_events_make_columns() -> None:
    """NaN is inconclusive and is not shown to the strategy."""
    strategy = Single()
    verdicts = strategy.analyse_batch(batch(0.5, float("nan"), 2.0), None)
    assert verdicts.code.tolist() == [Code.OK, Code.INCONCLUSIVE, Code.BREACHED]
    assert verdicts.cause.tolist() == [Cause.NONE, Cause.NAN, Cause.NONE]
    assert strategy.seen == [0.5, 2.0]
    assert verdicts.statistic[[0, 2]].tolist() == [0.5, 2.0]
    assert np.isnan(verdicts.threshold).all()  # such a strategy does not say its limit


def test_columns_make_single_events() -> None:
    """Each model has a state of its own between calls."""
    strategy = Counting()
    other = ModelKey("shop", "search", "1")
    assert [strategy.analyse(MODEL, Drift(0, score=0.1)) is None for _ in range(2)] == [True, True]
    assert strategy.analyse(other, Drift(0, score=0.1)) is None
    found = strategy.analyse(MODEL, Drift(0, score=0.1))
    assert found is not None
    assert (found.model, found.rule) == (MODEL, "counting")
    assert "3 above 2" in found.reason


def test_new_versions_start_from_zero_bits() -> None:
    strategy = Counting()
    state = strategy.new_state(3)
    assert state is not None
    state["n"] = 7
    assert strategy.successor(state)["n"].tolist() == [0, 0, 0]
    assert Single().new_state(3) is None


@pytest.mark.parametrize(
    ("name", "event", "word"),
    [
        ("score", EventKind.DRIFT, "drift score"),
        ("Drift score", EventKind.DRIFT, "Drift score"),
        ("failures", EventKind.INFERENCE_ERROR, "error rate failures"),
        ("anything", EventKind.CUSTOM, "anything"),
    ],
)
def test_the_words_for_a_signal_name_its_kind_once(name: str, event: EventKind, word: str) -> None:
    assert signal_word(batch(1.0, name=name, event=event)) == word


def test_a_limit_that_is_unknown_is_not_described() -> None:
    nan = np.full(1, np.nan)
    verdicts = replace(Verdicts.inconclusive(1, Cause.NONE), statistic=np.array([0.5]), threshold=nan)
    assert Single().describe(batch(0.5), 0, verdicts) == "drift score 0.5"
    verdicts.threshold[0] = 0.6
    assert Single().describe(batch(0.5), 0, verdicts) == "drift score 0.5 below 0.6"


def test_errors_of_a_plug_in_are_internal_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own StrategyErrors are passed on; a result of another size is an error."""
    strategy = Single()

    def raising(error: Exception) -> None:
        def analyse_batch(*_: object) -> Verdicts:
            raise error

        monkeypatch.setattr(strategy, "analyse_batch", analyse_batch)

    raising(ZeroDivisionError("by zero"))
    with pytest.raises(InternalError, match="ZeroDivisionError in strategy 'single': by zero"):
        guarded(strategy, batch(1.0), None)
    raising(StrategyError("wrong column"))
    with pytest.raises(StrategyError, match="wrong column"):
        guarded(strategy, batch(1.0), None)
    monkeypatch.setattr(strategy, "analyse_batch", lambda *_: Verdicts.inconclusive(2, Cause.NAN))
    with pytest.raises(InternalError, match="returned 2 verdicts for 1 models"):
        guarded(strategy, batch(1.0), None)
