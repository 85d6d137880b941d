"""Whether keeping a model is expected to cost more than retraining it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import DAY, HOUR, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn, signal_word
from bridge.strategies.stats.change_point import CELLS, Change, changes
from bridge.strategies.stats.counts import Bools, CountingConfig, Counts, Span, counts, take_due

CHUNK = 2048  # models at once, so that their histories stay in the cache
FORGET = 0.8  # what a version before the last one counts for
MEMORY = 0.4  # of a model's usual life: after so long the level that its training reached says little of another one
SURE = 0.95  # more is not worth a word
LEAST = 0.02  # weight of a training that came right after another one


class CostAwareConfig(CountingConfig):
    """`cost_aware: {retraining_cost: 500}`: in the unit of `error_cost`, by default errors of one request each."""

    retraining_cost: float = Field(gt=0)
    error_cost: float = Field(default=1.0, gt=0)
    horizon: Span = "30d"


@dataclass(frozen=True, slots=True)
class Costs(Verdicts):
    """Verdicts, with what they are made of, all (k,).

    now, reach: error rates, and after another training. life: ms. kept: the share of what was expected of retrainings
    that came true.
    """

    now: Floats
    reach: Floats
    life: Floats
    kept: Floats


class CostAwareStrategy(RetrainStrategy):
    """Breached when the errors that a retraining would save are expected to cost more than it.

    When to use: what a retraining costs, and what a failed request costs, can be said in one unit. How bad the model
    is now is averaged over all times at which its error rate may have changed; how good another one would be is what
    trainings of the same pipeline reached, and how long that lasts is how long its models did.
    Sources, of the question: Mahadevan and Mathioudakis, Knowledge-Based Systems 293 (2024); Regol et al., ICML 2025.
    """

    name = "cost_aware"
    Config = CostAwareConfig
    needs = frozenset({ERRORS, TOTAL})
    inherits = True
    state_dtype = np.dtype([
        ("next", np.int64), ("seen", np.int64), ("windows", np.int64), ("began", np.int64),
        ("last", np.int64), ("cells", np.int16), ("each", np.int32),
        ("filled", np.int32), ("errors", np.float32, (CELLS,)), ("total", np.float32, (CELLS,)),
        ("saving", np.float64), ("now", np.float32), ("fresh", np.float32), ("reach", np.float32),
        ("known", np.bool_), ("past", np.float64), ("weight", np.float64), ("own", np.float64), ("lives", np.float64),
        ("versions", np.float64), ("before", np.float64), ("promised", np.float64), ("kept", np.float64),
        ("promises", np.float64),
    ])  # fmt: skip

    def __init__(self, config: CostAwareConfig) -> None:
        self._config = config
        self._window, self._horizon = parse_duration(config.window), parse_duration(config.horizon)
        self.history = self._horizon

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Costs:
        """Add the samples that are due to their models' histories, and weigh the costs anew where there are some."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        sample = counts(batch, self._config)
        lives = sample.usable & (memory["began"] > 0) | sample.some
        memory["windows"] += take_due(memory["seen"], lives, batch.slot, self._window)
        due = np.flatnonzero(take_due(memory["next"], sample.some, batch.slot, self._window))
        for start in range(0, len(due), CHUNK):
            some = due[start : start + CHUNK]
            mine = memory[some]
            _add(mine, Counts(sample.errors[some], sample.total[some], sample.usable[some]), batch.slot)
            self._weigh(mine)
            memory[some] = mine
        saving, known = memory["saving"].copy(), memory["known"]
        code = np.where(saving > self._config.retraining_cost, np.int8(Code.BREACHED), np.int8(Code.OK))
        found = Costs(
            code,
            np.zeros(len(code), np.int8),
            saving,
            np.full(len(code), self._config.retraining_cost),
            memory["now"].astype(np.float64),
            memory["reach"].astype(np.float64),
            self._life(memory),
            self._kept(memory),
        )
        for doubtful, cause in ((~known, Cause.INSUFFICIENT), (~sample.usable, Cause.NAN)):
            found.code[doubtful], found.cause[doubtful] = Code.INCONCLUSIVE, cause
        return found

    def successor(self, former: StateColumn) -> StateColumn:
        """What the next version takes over: levels that trainings reached, and how long their models lasted."""
        state = np.zeros(len(former), self.state_dtype)
        seen = former["known"]
        own = np.where(former["versions"] > 0, former["own"], 1.0)
        kept = np.where(seen, FORGET, 1.0)
        state["past"] = kept * former["past"] + np.where(seen, own * former["fresh"], 0.0)
        state["weight"] = kept * former["weight"] + np.where(seen, own, 0.0)
        age = self._age(former)
        state["own"] = np.maximum(1 - np.exp(-age / self._memory(former)), LEAST)
        state["lives"] = former["lives"] + np.where(seen, age, 0.0)
        state["versions"] = former["versions"] + seen
        one, told = self._came_true(former)
        state["kept"], state["promises"] = kept * (former["kept"] + one), kept * (former["promises"] + told)
        asked = former["saving"] > self._config.retraining_cost
        state["before"] = former["now"]
        state["promised"] = np.where(seen & asked, former["now"] - former["reach"], 0.0)
        return state

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Both error rates, for how long, and both costs."""
        if not isinstance(verdicts, Costs):
            return super().describe(batch, position, verdicts)
        saving, cost = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        life = _rounded(float(verdicts.life[position]))
        share = float(verdicts.kept[position])
        less = "" if share > SURE else f" (so far {100 * share:.0f} % of what was expected came true, and is counted)"
        return (
            f"{signal_word(batch)} {100 * verdicts.now[position]:.3g} %, and {100 * verdicts.reach[position]:.3g} %"
            f" after a retraining: over the {life} that models of this pipeline last, keeping it is expected to cost"
            f" {_amount(saving)} more{less}, a retraining costs {_amount(cost)}"
        )

    def _age(self, memory: StateColumn) -> Floats:
        """(k,) ms in service, as far as it was seen."""
        return np.asarray((memory["last"] - memory["began"]).astype(np.float64) + self._window * (memory["last"] > 0))

    def _life(self, memory: StateColumn) -> Floats:
        """(k,) ms that a version lasts: the mean of those that were, the present one counted as if it ended now."""
        mean = (memory["lives"] + self._age(memory)) / (memory["versions"] + 1)
        return np.asarray(np.minimum(mean, self._horizon))

    def _memory(self, memory: StateColumn) -> Floats:
        return np.asarray(np.maximum(MEMORY * self._life(memory), self._window))

    def _came_true(self, memory: StateColumn) -> tuple[Floats, Floats]:
        """What the version's training brought of what was expected of it, 0 to 1, and whether something was; (k,)."""
        promised = memory["known"] & (memory["promised"] > 0)
        gained = memory["before"] - memory["fresh"]
        one = np.clip(gained / np.where(promised, memory["promised"], 1.0), 0.0, 1.0)
        return np.where(promised, one, 0.0), promised.astype(np.float64)

    def _kept(self, memory: StateColumn) -> Floats:
        """The mean of that over the versions, older ones counting less, and one that is imagined to have kept all."""
        one, told = self._came_true(memory)
        return np.asarray((1 + memory["kept"] + one) / (1 + memory["promises"] + told))

    def _weigh(self, mine: StateColumn) -> None:
        """What a retraining is expected to save, from histories that have something new."""
        found = changes(mine["errors"].astype(np.float64), mine["total"].astype(np.float64), _used(mine))
        mine["now"], mine["fresh"], mine["known"] = found.now, found.before, True
        own = np.where(mine["versions"] > 0, mine["own"], 1.0)
        usual = (mine["past"] + own * found.before) / (mine["weight"] + own)
        near = np.exp(-self._age(mine) / self._memory(mine))
        reach = near * found.before + (1 - near) * usual
        each_ms = mine["total"].sum(axis=1) * self._config.error_cost / (mine["windows"] * self._window)
        saved = (found.now - reach) * each_ms * self._kept(mine)
        mine["reach"] = reach
        mine["saving"] = np.where(self._settling(found, mine, saved), 0.0, saved * self._life(mine))

    def _settling(self, found: Change, mine: StateColumn, saved: Floats) -> Bools:
        """(k,) where a change is so new that a training would see both sides of it, and waiting costs little."""
        single = np.where(mine["filled"] > 0, mine["filled"], mine["each"]) == 1
        samples = mine["filled"] + mine["cells"].astype(np.int64) * mine["each"]
        until_next = self._window * mine["windows"] / samples
        return np.asarray((found.newest > 0.5) & single & (saved * until_next < self._config.retraining_cost))


def _used(mine: StateColumn) -> NDArray[np.int64]:
    """(k,) cells with something in them."""
    return mine["cells"].astype(np.int64) + (mine["filled"] > 0)


def _add(mine: StateColumn, sample: Counts, slot: Timestamp) -> None:
    """One sample of each; a history whose cells are all full goes on with half as many, twice as long."""
    new = mine["each"] == 0
    mine["each"][new], mine["began"][new] = 1, slot
    full = np.flatnonzero(mine["cells"] == CELLS)
    for field in ("errors", "total"):
        halves = mine[field][full].reshape(-1, CELLS // 2, 2).sum(axis=2)
        mine[field][full] = np.concatenate([halves, np.zeros_like(halves)], axis=1)
    mine["cells"][full] = CELLS // 2
    mine["each"][full] *= 2
    rows, cell = np.arange(len(mine)), mine["cells"].astype(np.int64)
    mine["errors"][rows, cell] += sample.errors
    mine["total"][rows, cell] += sample.total
    mine["filled"] += 1
    done = mine["filled"] == mine["each"]
    mine["cells"] += done
    mine["filled"][done] = 0
    mine["last"] = slot


def _amount(cost: float) -> str:
    return f"{float(f'{cost:.3g}'):,.6g}"


def _rounded(life: float) -> str:
    unit = DAY if life >= 2 * DAY else HOUR
    return format_duration(max(round(life / unit), 1) * unit)
