"""What every strategy is: verdicts over the columns of a batch, or over one event, each in terms of the other."""

from __future__ import annotations

from abc import ABC
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from bridge.domain.batch import VALUE, EventBatch, EventKind
from bridge.domain.errors import InternalError, StrategyError
from bridge.domain.event import ModelEvent
from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RetrainRequest, request_id
from bridge.domain.times import Duration
from bridge.domain.verdict import Cause, Code, Verdicts

StateColumn = NDArray[np.void]


class StrategyConfig(BaseModel):
    """Parameters of a strategy as a rule file gives them; numbers are in the signal's unit."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RetrainStrategy(ABC):
    """Judges models. Write `analyse_batch` (columns, fast) or `analyse` (one event); the other one follows.

    name: how rule files call it. Config: its parameters; the constructor takes one as its only positional argument, or
    `from_config` builds it. needs: columns of the batch it reads. state_dtype: numpy dtype of what it remembers of
    one model between slots (at most 2 KB), or None; the engine keeps it, over restarts too; of the class, or set by the
    constructor when it depends on parameters. history: how far back, in ms, it wants to see before it is asked of the
    present for the first time, 0 = not at all; warm_up: how long, in ms, it has numbers before it judges them, 0 = not
    at all; both also of the class or set by the constructor. gives_p: its verdicts carry p, so that rules may say
    `fdr`. inherits: a new version begins with what `successor` makes of the version before it; of the class or set by
    the constructor. members: the parameter that is a list of other strategies, "" = none.
    """

    name: ClassVar[str]
    Config: ClassVar[type[StrategyConfig]] = StrategyConfig
    needs: frozenset[str] = frozenset({VALUE})
    members: ClassVar[str] = ""
    gives_p: ClassVar[bool] = False
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
        """The strategy for checked parameters."""
        return cls(config)  # type: ignore[call-arg]  # the documented constructor of a plug-in

    def new_state(self, size: int) -> StateColumn | None:
        """State for `size` models that were never seen; all zero bits."""
        return None if self.state_dtype is None else np.zeros(size, self.state_dtype)

    def successor(self, former: StateColumn) -> StateColumn:
        """State (k,) with which new versions begin whose pipelines' versions before them had `former` (k,)."""
        return np.zeros(len(former), former.dtype)

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Verdicts:
        """Verdicts (k,) for the k elements of `batch`; `state` (k,) is theirs, to be changed in place.

        Raises StrategyError (or anything: the engine calls it Internal and lets the other rules go on).
        """
        verdicts = Verdicts.inconclusive(len(batch), Cause.NAN)
        values = batch.values()
        for position, slot in enumerate(batch.index.tolist()):
            value = values[position]
            if value == value:  # noqa: PLR0124 - NaN is inconclusive, whatever the strategy
                asked = self.analyse(batch.table[slot], batch.event_at(position))
                verdicts.code[position] = Code.OK if asked is None else Code.BREACHED
                verdicts.cause[position] = Cause.NONE
                verdicts.statistic[position] = value
        return verdicts

    def analyse(self, model: ModelKey, event: ModelEvent) -> RetrainRequest | None:
        """One event of one model: a request when it calls for one, else None. Raises StrategyError."""
        batch = EventBatch.of_event(model, event)
        verdicts = self.analyse_batch(batch, self._single_state(model))
        if verdicts.code[0] != Code.BREACHED:
            return None
        return self._request(model, batch, verdicts)

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Why element `position` is breached, in one line with units."""
        value, limit = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        relation = "" if limit != limit else f" {'above' if value > limit else 'below'} {limit:.6g}"  # noqa: PLR0124
        return f"{signal_word(batch)} {value:.6g}{relation}"

    def _single_state(self, model: ModelKey) -> StateColumn | None:
        """State of a model in the library's use, where no engine keeps it."""
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
    """What people call the batch's signal in a sentence: its kind, and its name where that says more."""
    if batch.event is EventKind.CUSTOM:
        return batch.name
    kind = "error rate" if batch.event is EventKind.INFERENCE_ERROR else batch.event.value
    return batch.name if kind in batch.name.lower() else f"{kind} {batch.name}"


def guarded(strategy: RetrainStrategy, batch: EventBatch, state: StateColumn | None) -> Verdicts:
    """`analyse_batch`, where every failure is a StrategyError and the shape is what was promised."""
    try:
        verdicts = strategy.analyse_batch(batch, state)
    except StrategyError:
        raise
    except Exception as error:
        raise InternalError(f"{type(error).__name__} in strategy {strategy.name!r}: {error}") from error
    if len(verdicts) != len(batch):
        raise InternalError(f"strategy {strategy.name!r} gave {len(verdicts)} verdicts for {len(batch)} models")
    return verdicts


def _own_bases(cls: type) -> list[type]:
    return [base for base in cls.__mro__ if base not in {RetrainStrategy, ABC, object}]
