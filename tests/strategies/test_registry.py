"""Registry: shipped strategies, and those of installed packages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint

import pytest

from bridge.domain.batch import EventBatch
from bridge.domain.errors import InternalError, StrategyError
from bridge.domain.event import Drift, ModelEvent
from bridge.domain.model import ModelKey
from bridge.domain.request import RetrainRequest
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Verdicts
from bridge.ports import plug_ins
from bridge.strategies import registry
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, guarded
from bridge.strategies.threshold import ThresholdStrategy
from tests.contracts.test_strategies import batch_of


class Fussy(RetrainStrategy):
    """Plug-in strategy that implements only `analyse`."""

    name = "fussy"

    class Config(StrategyConfig):
        """Its one parameter."""

        above: float

    def __init__(self, config: Config) -> None:
        self._above = config.above
        self._inner = ThresholdStrategy(max_drift_p=config.above)

    def analyse(self, model: ModelKey, event: ModelEvent) -> RetrainRequest | None:
        return self._inner.analyse(model, event)


Install = Callable[..., None]


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Pretend that packages with these entry points are installed."""

    def install(*values: str) -> None:
        points = [EntryPoint(f"p{index}", value, "bridge.strategies") for index, value in enumerate(values)]
        monkeypatch.setattr(plug_ins, "entry_points", lambda group: points)
        registry.strategies.cache_clear()

    yield install
    monkeypatch.undo()
    registry.strategies.cache_clear()


def test_a_strategy_of_a_users_package_is_used_by_name(installed: Install) -> None:
    """An entry point suffices; `analyse` alone works for batches."""
    installed("tests.strategies.test_registry:Fussy")
    fussy = registry.build(StrategySpec("fussy", {"above": 0.5}))
    verdicts = guarded(fussy, batch_of([0.4, 0.6, float("nan")]), None)
    assert verdicts.code.tolist() == [0, 1, 3]
    assert fussy.analyse(ModelKey("a", "b", "c"), Drift(0, 0.7)) is not None


def test_an_unknown_strategy_is_answered_with_the_nearest(installed: Install) -> None:
    """A typo gets a suggestion."""
    with pytest.raises(StrategyError, match="unknown strategy 'treshold'; did you mean 'threshold'"):
        registry.build(StrategySpec("treshold"))
    with pytest.raises(StrategyError, match="known are: "):
        registry.build(StrategySpec("zzz"))


def test_an_unusable_strategy_of_an_installed_package_is_refused(installed: Install) -> None:
    installed("tests.strategies.test_registry:batch_of")
    with pytest.raises(StrategyError, match="is not a RetrainStrategy"):
        registry.strategies()


def test_a_strategy_must_write_one_of_the_two_methods() -> None:
    """Otherwise both would call each other endlessly."""
    with pytest.raises(TypeError, match="must define analyse_batch or analyse"):
        type("Empty", (RetrainStrategy,), {"name": "empty"})


def test_wrongly_shaped_verdicts_are_the_strategys_failure() -> None:
    """They would be assigned to the wrong models."""

    class Short(RetrainStrategy):
        name = "short"

        def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
            return ThresholdStrategy(max_drift_p=1).analyse_batch(batch_of([1.0]), None)

    with pytest.raises(InternalError, match="returned 1 verdicts for 2 models"):
        guarded(Short(), batch_of([1.0, 2.0]), None)
