"""Several strategies on one signal, of which so many have to say it."""

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
    """`vote: {at_least: 2, of: [{threshold: {max: 0.6}}, {ewma: {}}]}`; within: slots for which a vote counts."""

    at_least: int = Field(ge=1)
    of: tuple[dict[str, dict[str, Any]], ...] = Field(min_length=2, max_length=8)
    within: int = Field(default=1, ge=1, le=60)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.at_least > len(self.of):
            raise ValueError(f"at_least ({self.at_least}) must not be more than the {len(self.of)} strategies")
        if any(len(member) != 1 for member in self.of):
            raise ValueError("each of 'of' must name exactly one strategy")
        return self


@dataclass(frozen=True, slots=True)
class Votes(Verdicts):
    """Verdicts, with those of the members, and which members' votes count (m, k)."""

    members: Sequence[Verdicts]
    counted: Flags


class VoteStrategy(RetrainStrategy):
    """Breached while at least so many of several strategies are, in one slot or within a few.

    When to use: one signal, and no strategy that is right by itself: a level that is too high and a change that is
    sudden. For several signals write `at_least` in the rule instead.
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
            (f"of{place}", member.state_dtype)
            for place, member in enumerate(self._members)
            if member.state_dtype is not None
        ]
        if self._within > 1:
            fields.append(("recent", np.uint64, (len(self._members),)))
        self.state_dtype = np.dtype(fields) if fields else None

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Votes:
        """Ask every member, each with its own memory, and count."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None and self.state_dtype else state
        found = [
            member.analyse_batch(batch, None if memory is None or member.state_dtype is None else memory[f"of{place}"])
            for place, member in enumerate(self._members)
        ]
        codes = np.stack([verdicts.code for verdicts in found])
        counted = codes == Code.BREACHED
        if memory is not None and self._within > 1:
            counted = self._remembered(counted, memory["recent"])
        unknown = (codes == Code.INCONCLUSIVE) & ~counted
        votes, band = counted.sum(axis=0), ((codes == Code.BAND) & ~counted).sum(axis=0)
        least, most = self._decided(votes, band), self._decided(votes + unknown.sum(axis=0), band)
        code = np.where(least == most, least, np.int8(Code.INCONCLUSIVE)).astype(np.int8)
        causes = np.stack([verdicts.cause for verdicts in found])
        cause = causes[unknown.argmax(axis=0), np.arange(len(batch))]
        cause = np.where(code == Code.INCONCLUSIVE, cause, np.int8(0)).astype(np.int8)
        return Votes(code, cause, votes.astype(np.float64), np.full(len(batch), float(self._least)), found, counted)

    def successor(self, former: StateColumn) -> StateColumn:
        """Each member's own; votes of former versions are forgotten."""
        state = np.zeros(len(former), self.state_dtype)
        for place, member in enumerate(self._members):
            if member.inherits:
                state[f"of{place}"] = member.successor(former[f"of{place}"])
        return state

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """How many, and what each of them says."""
        if not isinstance(verdicts, Votes):
            return super().describe(batch, position, verdicts)
        when = f" within {self._within} slots" if self._within > 1 else ""
        said = [
            member.describe(batch, position, one) if one.code[position] == Code.BREACHED else f"{member.name} before"
            for member, one, counts in zip(self._members, verdicts.members, verdicts.counted[:, position], strict=True)
            if counts
        ]
        return f"{signal_word(batch)}: {len(said)} of {len(self._members)}{when}: {'; '.join(said)}"

    def _remembered(self, breached: Flags, recent: NDArray[np.uint64]) -> Flags:
        """(m, k) which members were breached in the last slots, this one with them; recent (k, m) is moved on."""
        kept = np.uint64((1 << self._within) - 1)
        recent[:] = (recent << np.uint64(1) | breached.T) & kept
        return np.asarray(recent.T > 0)

    def _decided(self, votes: NDArray[np.int64], band: NDArray[np.int64]) -> Int8:
        decided = np.where(votes + band >= self._least, np.int8(Code.BAND), np.int8(Code.OK))
        return np.where(votes >= self._least, np.int8(Code.BREACHED), decided)
