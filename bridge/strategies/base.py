"""Base class of strategies: verdicts for the columns of a batch, or for a single event."""

from __future__ import annotations

from abc import ABC
from functools import lru_cache
from typing import ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bridge.domain.batch import VALUE, EventBatch, EventKind
from bridge.domain.errors import InternalError, StrategyError
from bridge.domain.event import ModelEvent
from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RetrainRequest, request_id
from bridge.domain.times import Duration, Timestamp
from bridge.domain.verdict import Cause, Code, Floats, Verdicts

StateColumn = NDArray[np.void]


class StrategyConfig(BaseModel):
    """Parameters of a strategy as written in a rule file; numbers are in the signal's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)  # few of all strategies are used


class Crossings(NamedTuple):
    """Forecast of when the values of k models cross a limit.

    limit: (k,) in the signal's unit.
    earliest, latest: (k,) bounds in ms since the epoch; NaN = no crossing is forecast.
    confidence: probability that the interval holds the crossing.
    """

    limit: Floats
    earliest: Floats
    latest: Floats
    confidence: float


class RetrainStrategy(ABC):
    """Strategy: evaluates models. Implement `analyse_batch` (columns, fast) or `analyse` (one event), not both.

    The attributes that follow belong to the class; state_dtype, history, warm_up and inherits may also be set by the
    constructor when they depend on parameters.
    name: name in rule files.
    Config: class of the parameters; the only argument of the constructor, unless `from_config` is overridden.
    needs: columns of the batch that the strategy reads.
    state_dtype: NumPy dtype of the state of one model between slots (at most 2 KB), or None; the engine stores it.
    history: ms of history to evaluate before the first live slot, 0 = none.
    warm_up: ms of samples before the first verdict, 0 = none.
    forecasts: `crossings` returns when values are expected to cross a limit.
    gives_p: the verdicts carry p-values, so that rules may use `fdr`.
    inherits: a new version starts with the state that `successor` derives from the version before, and a new pipeline
        with the one that `newcomer` derives from its siblings.
    members: name of the parameter that lists other strategies, "" = none.
    """

    name: ClassVar[str]
    Config: ClassVar[type[StrategyConfig]] = StrategyConfig
    needs: frozenset[str] = frozenset({VALUE})
    members: ClassVar[str] = ""
    gives_p: ClassVar[bool] = False
    forecasts: ClassVar[bool] = False
    state_dtype: np.dtype[np.void] | None = None
    history: Duration = 0
    warm_up: Duration = 0
    inherits: bool = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        writes_one = any("analyse" in base.__dict__ or "analyse_batch" in base.__dict__ for base in _own_bases(cls))
        if not writes_one:
            raise TypeError(f"strategy {cls.__name__} must define analyse_batch or analyse")

    @classmethod
    def from_config(cls, config: StrategyConfig) -> RetrainStrategy:
        """Return a strategy with validated parameters."""
        return cls(config)  # type: ignore[call-arg]  # the documented constructor of a plug-in

    def new_state(self, size: int) -> StateColumn | None:
        """Return the initial state, all zero bits, of `size` new models."""
        return None if self.state_dtype is None else np.zeros(size, self.state_dtype)

    def successor(self, former: StateColumn) -> StateColumn:
        """Return the initial state (k,) of new versions, given the state `former` (k,) of the versions before them."""
        return np.zeros(len(former), former.dtype)

    def newcomer(self, siblings: StateColumn) -> StateColumn:
        """Return the initial state (1,) of a new pipeline, given the states of its siblings (k,)."""
        return np.zeros(1, siblings.dtype)

    def crossings(self, state: StateColumn, slot: Timestamp) -> Crossings | None:
        """Return when the models of `state` (k,) are expected to cross a limit, seen from `slot`."""
        return None

    def detects(self, state: StateColumn) -> str:
        """Return what is detected so far on the model of `state` (1,), and from when the rest; "" = all, or unknown."""
        return ""

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Return verdicts (k,) for the k elements of `batch` and update their `state` (k,) in place.

        Raises StrategyError; the engine reports any other exception as InternalError and continues with other rules.
        """
        verdicts = Verdicts.inconclusive(len(batch), Cause.NAN)
        values = batch.values()
        for position, row in enumerate(batch.index.tolist()):
            value = values[position]
            if value == value:  # noqa: PLR0124 - NaN is always inconclusive
                request = self.analyse(batch.table[row], batch.event_at(position))
                verdicts.code[position] = Code.OK if request is None else Code.BREACHED
                verdicts.cause[position] = Cause.NONE
                verdicts.statistic[position] = value
        return verdicts

    def analyse(self, model: ModelKey, event: ModelEvent) -> RetrainRequest | None:
        """Return a request if the event calls for retraining, else None. Raises StrategyError."""
        batch = EventBatch.of_event(model, event)
        verdicts = self.analyse_batch(batch, self._single_state(model))
        if verdicts.code[0] != Code.BREACHED:
            return None
        return self._request(model, batch, verdicts)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return in one line, with units, why element `position` is breached."""
        value, limit = verdicts.statistic.item(position), verdicts.threshold.item(position)
        relation = "" if limit != limit else f" {'above' if value > limit else 'below'} {limit:.6g}"  # noqa: PLR0124
        return f"{signal_word(batch)} {value:.6g}{relation}"

    def _single_state(self, model: ModelKey) -> StateColumn | None:
        """Return the state of a model when the strategy is used as a library, without an engine."""
        if self.state_dtype is None:
            return None
        singles: dict[ModelKey, StateColumn] = self.__dict__.setdefault("_singles", {})
        if model not in singles:
            singles[model] = np.zeros(1, self.state_dtype)
        return singles[model]

    def _request(self, model: ModelKey, batch: EventBatch, verdicts: Verdicts) -> RetrainRequest:
        reason = self.describe(batch, 0, verdicts)
        value, statistic, threshold = batch.values()[0], verdicts.statistic[0], verdicts.threshold[0]
        return RetrainRequest(
            model=model,
            reason=reason,
            triggered_at=batch.slot,
            id=request_id(model, self.name, batch.slot, 1),
            rule=self.name,
            episode_start=batch.slot,
            reasons=(reason,),
            evidence=(
                Evidence(self.name, batch.name, batch.event, "", float(value), float(statistic), float(threshold)),
            ),
        )


def signal_word(batch: EventBatch) -> str:
    """Return the words for the batch's signal in a sentence: its kind, and its name where that adds something."""
    return _signal_word(batch.event, batch.name)


@lru_cache(maxsize=1024)
def _signal_word(event: EventKind, name: str) -> str:
    """Return the words for a signal; the requests of a slot share few."""
    if event is EventKind.CUSTOM:
        return name
    kind = "error rate" if event is EventKind.INFERENCE_ERROR else event.value
    return name if kind in name.lower() else f"{kind} {name}"


def guarded(strategy: RetrainStrategy, batch: EventBatch, state: StateColumn | None) -> Verdicts:
    """Run `analyse_batch`. Raises StrategyError, or InternalError for any other exception or a wrong result size."""
    try:
        verdicts = strategy.analyse_batch(batch, state)
    except StrategyError:
        raise
    except Exception as error:
        raise InternalError(f"{type(error).__name__} in strategy {strategy.name!r}: {error}") from error
    if len(verdicts) != len(batch):
        raise InternalError(f"strategy {strategy.name!r} returned {len(verdicts)} verdicts for {len(batch)} models")
    return verdicts


def _own_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base not in {RetrainStrategy, ABC, object}]
