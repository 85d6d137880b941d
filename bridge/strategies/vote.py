"""`vote`: several strategies on one signal, of which a minimum number must be breached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bridge.domain.batch import EventBatch
from bridge.domain.rule import StrategySpec
from bridge.domain.verdict import Code, Int8, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig, signal_word
from bridge.strategies.registry import build

Flags = NDArray[np.bool_]


class VoteConfig(StrategyConfig):
    """Parameters of `vote: {at_least: 2, of: [{threshold: {max: 0.6}}, {ewma: {}}]}`.

    - `at_least`: number of strategies that must be breached
    - `of`: the strategies with their parameters
    - `within`: number of slots for which the breach of a strategy counts
    """

    at_least: int = Field(ge=1)
    of: tuple[dict[str, dict[str, Any]], ...] = Field(min_length=2, max_length=8)
    within: int = Field(default=1, ge=1, le=60)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.at_least > len(self.of):
            raise ValueError(f"at_least ({self.at_least}) must not exceed the number of strategies ({len(self.of)})")
        if any(len(member) != 1 for member in self.of):
            raise ValueError("each item of 'of' must name exactly one strategy")
        return self


@dataclass(frozen=True, slots=True)
class Votes(Verdicts):
    """Verdicts with those of the members; counted: (m, k) the member's vote counts."""

    members: Sequence[Verdicts]
    counted: Flags


class VoteStrategy(RetrainStrategy):
    """Strategy that is breached while a minimum number of other strategies are, in one slot or within a few.

    When to use: if you want to evaluate one signal in several ways, for example by a limit and by a change detector.
    For several signals, use `at_least` in the rule instead.
    """

    name = "vote"
    Config = VoteConfig
    needs = frozenset()
    members = "of"

    def __init__(self, config: VoteConfig) -> None:
        self._least, self._within = config.at_least, config.within
        specs = [StrategySpec(name, params) for member in config.of for name, params in member.items()]
        self._members = [build(spec) for spec in specs]
        self.needs = frozenset().union(*(member.needs for member in self._members))
        self.history = max(member.history for member in self._members)
        self.warm_up = max(member.warm_up for member in self._members)
        self.inherits = any(member.inherits for member in self._members)
        fields: list[Any] = [
            (f"of{index}", member.state_dtype)
            for index, member in enumerate(self._members)
            if member.state_dtype is not None
        ]
        if self._within > 1:
            fields.append(("recent", np.uint64, (len(self._members),)))
        self.state_dtype = np.dtype(fields) if fields else None

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Votes:
        """Evaluate every member with its own state, and count the votes."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None and self.state_dtype else state
        results = [
            member.analyse_batch(batch, None if memory is None or member.state_dtype is None else memory[f"of{index}"])
            for index, member in enumerate(self._members)
        ]
        codes = np.stack([verdicts.code for verdicts in results])
        counted = codes == Code.BREACHED
        if memory is not None and self._within > 1:
            counted = self._recent_votes(counted, memory["recent"])
        unknown = (codes == Code.INCONCLUSIVE) & ~counted
        votes, band = counted.sum(axis=0), ((codes == Code.BAND) & ~counted).sum(axis=0)
        least, most = self._decided(votes, band), self._decided(votes + unknown.sum(axis=0), band)
        code = np.where(least == most, least, np.int8(Code.INCONCLUSIVE)).astype(np.int8)
        causes = np.stack([verdicts.cause for verdicts in results])
        cause = causes[unknown.argmax(axis=0), np.arange(len(batch))]
        cause = np.where(code == Code.INCONCLUSIVE, cause, np.int8(0)).astype(np.int8)
        return Votes(code, cause, votes.astype(np.float64), np.full(len(batch), float(self._least)), results, counted)

    def successor(self, former: StateColumn) -> StateColumn:
        """Return the members' own successor states; votes of the former version are dropped."""
        state = np.zeros(len(former), self.state_dtype)
        for index, member in enumerate(self._members):
            if member.inherits:
                state[f"of{index}"] = member.successor(former[f"of{index}"])
        return state

    def newcomer(self, siblings: StateColumn) -> StateColumn:
        """Return the members' own states of a new pipeline."""
        state = np.zeros(1, self.state_dtype)
        for index, member in enumerate(self._members):
            if member.inherits:
                state[f"of{index}"] = member.newcomer(siblings[f"of{index}"])
        return state

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return the number of votes, and the reason of each member."""
        if not isinstance(verdicts, Votes):
            return super().describe(batch, position, verdicts)
        when = f" within {self._within} slots" if self._within > 1 else ""
        reasons = [
            member.describe(batch, position, own) if own.code[position] == Code.BREACHED else f"{member.name} earlier"
            for member, own, counts in zip(self._members, verdicts.members, verdicts.counted[:, position], strict=True)
            if counts
        ]
        return f"{signal_word(batch)}: {len(reasons)} of {len(self._members)}{when}: {'; '.join(reasons)}"

    def _recent_votes(self, breached: Flags, recent: NDArray[np.uint64]) -> Flags:
        """Return which members (m, k) were breached in the last slots, including this one; update recent (k, m)."""
        kept = np.uint64((1 << self._within) - 1)
        recent[:] = (recent << np.uint64(1) | breached.T) & kept
        return np.asarray(recent.T > 0)

    def _decided(self, votes: NDArray[np.int64], band: NDArray[np.int64]) -> Int8:
        decided = np.where(votes + band >= self._least, np.int8(Code.BAND), np.int8(Code.OK))
        return np.where(votes >= self._least, np.int8(Code.BREACHED), decided)
