"""`cost_aware`: expected cost of keeping a model against the cost of retraining it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import DAY, HOUR, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Cause, Code, Floats, Verdicts
from bridge.strategies.base import RetrainStrategy, StateColumn
from bridge.strategies.stats.averaged_change_point import CELLS, RateEstimate, rates_before_and_after
from bridge.strategies.stats.counts import Bools, CountingConfig, Counts, DurationText, counts, take_due
from bridge.strategies.stats.expected_improvement import expected_improvement
from bridge.strategies.stats.rate_history import count_recoveries, newest_rise

CHUNK = 2048  # models processed together, so that their histories fit into the CPU cache
REMEMBERED = 8  # earlier versions whose error rates are known
FORGET = 0.8  # factor on the weight of older versions, per version
MEMORY = 0.4  # share of a model's usual lifetime after which another training would see new data
LASTING = 0.5  # share of its age for which a version is expected to last at least
PATIENCE = 0.3  # share of the cost of a retraining that it may cost to wait for the end of a change
CHANCE = 0.03  # scale by which error rates of trainings differ by chance, relative to a rate that was reached
UNKNOWN = 0.6  # the same after the errors have fallen by themselves, when it is unknown what a training can reach
SURE = 0.9  # probability of a fall that makes the samples before it obsolete
MENTIONED = 0.95  # a higher share of fulfilled predictions is not mentioned


class CostAwareConfig(CountingConfig):
    """Parameters of `cost_aware: {retraining_cost: 500}`.

    - `retraining_cost`: cost of a retraining, in the unit of `error_cost`
    - `error_cost`: cost of a failed inference; by default 1, so that costs are numbers of failed inferences
    - `horizon`: longest lifetime that is assumed for a version; later savings do not count
    """

    retraining_cost: float = Field(gt=0)
    error_cost: float = Field(default=1.0, gt=0)
    horizon: DurationText = "30d"


@dataclass(frozen=True, slots=True)
class Costs(Verdicts):
    """Verdicts with their inputs; all (k,).

    now: current error rate.
    reach: expected error rate after a retraining.
    life: expected lifetime of a version, in ms.
    kept: share of the improvement predicted for past retrainings that came true.
    """

    now: Floats
    reach: Floats
    life: Floats
    kept: Floats


class CostAwareStrategy(RetrainStrategy):
    """Strategy that is breached when the errors that a retraining would avoid are expected to cost more than it does.

    When to use: if you can state the costs of a retraining and of an error in one unit. The current error rate is
    averaged over all possible change points. The error rate after a retraining, and the time for which it lasts, are
    estimated from earlier versions of the pipeline.
    Sources of the problem: Mahadevan and Mathioudakis, Knowledge-Based Systems 293 (2024); Regol et al., ICML 2025.
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
        ("known", np.bool_), ("falls", np.int32), ("low", np.float32), ("begins", np.bool_), ("mixed", np.bool_),
        ("levels", np.float32, (REMEMBERED,)), ("versions", np.int64), ("lives", np.float64), ("before", np.float64),
        ("promised", np.float64), ("kept", np.float64), ("promises", np.float64), ("share", np.float32),
    ])  # fmt: skip

    def __init__(self, config: CostAwareConfig) -> None:
        self._config = config
        self._window, self._horizon = parse_duration(config.window), parse_duration(config.horizon)
        self.history = self._horizon

    def analyse_batch(self, batch: EventBatch, state: StateColumn | None) -> Costs:
        """Add the samples that are due to the histories of their models, and update the savings of those models."""
        memory = np.zeros(len(batch), self.state_dtype) if state is None else state
        sample = counts(batch, self._config)
        lives = sample.usable & (memory["began"] > 0) | sample.some
        memory["windows"] += take_due(memory["seen"], lives, batch.slot, self._window)
        due = np.flatnonzero(take_due(memory["next"], sample.some, batch.slot, self._window))
        for start in range(0, len(due), CHUNK):
            rows = due[start : start + CHUNK]
            mine = memory[rows]
            _add(mine, Counts(sample.errors[rows], sample.total[rows], sample.usable[rows]), batch.slot)
            self._weigh(mine)
            memory[rows] = mine
        saving, known = memory["saving"].copy(), memory["known"]
        code = np.where(saving > self._config.retraining_cost, np.int8(Code.BREACHED), np.int8(Code.OK))
        costs = Costs(
            code,
            np.zeros(len(code), np.int8),
            saving,
            np.full(len(code), self._config.retraining_cost),
            memory["now"].astype(np.float64),
            memory["reach"].astype(np.float64),
            self._life(memory),
            memory["share"].astype(np.float64),
        )
        for doubtful, cause in ((~known, Cause.INSUFFICIENT), (~sample.usable, Cause.NAN)):
            costs.code[doubtful], costs.cause[doubtful] = Code.INCONCLUSIVE, cause
        return costs

    def successor(self, former: StateColumn) -> StateColumn:
        """Return the initial state of the next version: what trainings reached, and how long versions lasted."""
        state = np.zeros(len(former), self.state_dtype)
        seen = former["known"]
        state["levels"] = former["levels"]
        state["levels"][seen, 1:] = former["levels"][seen, :-1]
        state["levels"][seen, 0] = former["fresh"][seen]
        state["lives"] = former["lives"] + np.where(seen, self._age(former), 0.0)
        state["versions"] = former["versions"] + seen
        state["mixed"] = former["begins"]
        share, predicted = self._fulfilled(former)
        older = np.where(seen, FORGET, 1.0)
        state["kept"], state["promises"] = older * (former["kept"] + share), older * (former["promises"] + predicted)
        requested = former["saving"] > self._config.retraining_cost
        state["before"] = former["now"]
        state["promised"] = np.where(seen & requested, former["now"] - former["reach"], 0.0)
        return state

    def describe(self, batch: EventBatch, position: int, verdicts: Verdicts) -> str:
        """Return both error rates, the expected lifetime, and both costs."""
        if not isinstance(verdicts, Costs):
            return super().describe(batch, position, verdicts)
        saving, cost = float(verdicts.statistic[position]), float(verdicts.threshold[position])
        life = _rounded(float(verdicts.life[position]))
        share = float(verdicts.kept[position])
        scaled = "" if share > MENTIONED else f" (scaled to the {100 * share:.0f} % of past predictions that came true)"
        now, reach = 100 * verdicts.now[position], 100 * verdicts.reach[position]
        return (
            f"signal {batch.name!r}: error rate {now:.3g} %, expected {reach:.3g} % after retraining: over the {life}"
            f" that models of this pipeline last, keeping the model is expected to cost {_amount(saving)} more{scaled};"
            f" a retraining costs {_amount(cost)}"
        )

    def _age(self, memory: StateColumn) -> Floats:
        """Return the observed time in service (k,), in ms."""
        return np.asarray((memory["last"] - memory["began"]).astype(np.float64) + self._window * (memory["last"] > 0))

    def _life(self, memory: StateColumn) -> Floats:
        """Return the expected lifetime of versions (k,), in ms: their mean, or half the age of the current one.

        For the mean, the current version counts as if it ended now.
        """
        age = self._age(memory)
        mean = (memory["lives"] + age) / (memory["versions"] + 1)
        return np.asarray(np.minimum(np.maximum(mean, LASTING * age), self._horizon))

    def _fulfilled(self, memory: StateColumn) -> tuple[Floats, Floats]:
        """Return the achieved share of the predicted improvement, and 1 where one was predicted; both (k,)."""
        promised = memory["known"] & (memory["promised"] > 0)
        gained = memory["before"] - memory["fresh"]
        share = np.clip(gained / np.where(promised, memory["promised"], 1.0), 0.0, 1.0)
        return np.where(promised, share, 0.0), promised.astype(np.float64)

    def _kept(self, memory: StateColumn) -> Floats:
        """Return the weighted mean of achieved shares (k,), including one imaginary retraining that achieved 1."""
        share, predicted = self._fulfilled(memory)
        return np.asarray((1 + memory["kept"] + share) / (1 + memory["promises"] + predicted))

    def _weigh(self, mine: StateColumn) -> None:
        """Update the expected saving from histories that have new samples."""
        change = rates_before_and_after(
            mine["errors"].astype(np.float64), mine["total"].astype(np.float64), _used(mine)
        )
        mine["now"], mine["known"] = change.now, True
        single = np.where(mine["filled"] > 0, mine["filled"], mine["each"]) == 1
        mine["begins"] = (change.newest > 0.5) & single
        mine["fresh"] = np.minimum(change.before, change.now)  # a rate that falls shows what the training learned
        _drop_before_fall(mine, change)
        improvement, kept = self._improvement(mine), self._kept(mine)
        mine["reach"], mine["share"] = change.now - improvement, kept
        each_ms = mine["total"].sum(axis=1) * self._config.error_cost / (mine["windows"] * self._window)
        saved = improvement * kept * each_ms
        mine["saving"] = np.where(self._settling(mine, saved), 0.0, saved * self._life(mine))
        worth = np.flatnonzero(mine["saving"] > self._config.retraining_cost)  # the rest waits in any case
        if len(worth):
            some, saved = mine[worth], saved[worth]
            mine["saving"][worth] = np.where(self._rising(some, saved), 0.0, saved * self._lasting(some))

    def _improvement(self, mine: StateColumn) -> Floats:
        """Return by how much (k,) a retraining is expected to improve the error rate, if only improvements are kept.

        Another training may reach any of the rates that trainings reached, and differ from it by chance. Shortly after
        a training, it would see the same data again, unless the last one took place at the very beginning of a change.
        """
        now, fresh = mine["now"].astype(np.float64), mine["fresh"].astype(np.float64)
        levels = np.concatenate([fresh[:, None], mine["levels"].astype(np.float64)], axis=1)
        recent = np.arange(REMEMBERED + 1)
        weight = np.where(recent <= mine["versions"][:, None], FORGET**recent, 0.0)
        usual = (weight * expected_improvement(now[:, None], levels, CHANCE)).sum(axis=1) / weight.sum(axis=1)
        gain = np.where(mine["falls"] > 0, expected_improvement(now, fresh, UNKNOWN), usual)
        memory = np.maximum(MEMORY * self._life(mine), self._window)
        near = np.where(mine["mixed"], 0.0, np.exp(-self._age(mine) / memory))
        return np.asarray(near * np.maximum(now - fresh, 0.0) + (1 - near) * gain)

    def _lasting(self, mine: StateColumn) -> Floats:
        """Return for how long (k,) the present error rate is expected to last, in ms: that of a version, or shorter.

        Where the rate fell by itself before, the concept recurs: it lasts as long as the levels of this version did.
        """
        returned = mine["falls"] + count_recoveries(
            mine["errors"].astype(np.float64), mine["total"].astype(np.float64), _used(mine)
        )
        level = self._age(mine) / (2 * returned + 1)
        life = self._life(mine)
        return np.asarray(np.where(returned > 0, np.minimum(life, level), life))

    def _rising(self, mine: StateColumn, saved: Floats) -> Bools:
        """Return where (k,) a gradual change is under way, and waiting for its end costs little.

        A training in its middle learns the mixture.
        """
        rise = newest_rise(mine["errors"].astype(np.float64), mine["total"].astype(np.float64), _used(mine))
        samples = mine["filled"] + mine["cells"].astype(np.int64) * mine["each"]
        waited = rise.cells * mine["each"] * self._window * mine["windows"] / samples
        return np.asarray(rise.rising & (saved * waited < PATIENCE * self._config.retraining_cost))

    def _settling(self, mine: StateColumn, saved: Floats) -> Bools:
        """Return where (k,) a change is too recent for a training to learn from it, and waiting costs little."""
        samples = mine["filled"] + mine["cells"].astype(np.int64) * mine["each"]
        until_next = self._window * mine["windows"] / samples
        return np.asarray(mine["begins"] & (saved * until_next < PATIENCE * self._config.retraining_cost))


def _used(mine: StateColumn) -> NDArray[np.int64]:
    """Return the number of cells in use (k,)."""
    return mine["cells"].astype(np.int64) + (mine["filled"] > 0)


def _drop_before_fall(mine: StateColumn, change: RateEstimate) -> None:
    """Remove the cells before a clear fall of the error rate, as if the version had started with the lower rate."""
    used = _used(mine)
    rows = np.flatnonzero((change.fallen > SURE) & (used - change.cells >= 2))
    if not len(rows):
        return
    kept = np.arange(CELLS) + change.cells[rows, None]
    some = mine[rows]
    samples = some["filled"] + some["cells"].astype(np.int64) * some["each"]
    some["windows"] = np.ceil(some["windows"] * (1 - change.cells[rows] * some["each"] / samples))
    some["cells"] -= change.cells[rows].astype(np.int16)
    some["falls"] += change.before[rows] + change.now[rows] > 2 * some["low"]  # or else, the last fall continues
    some["low"] = change.now[rows]
    for field in ("errors", "total"):
        some[field] = np.where(kept < CELLS, np.take_along_axis(some[field], kept % CELLS, axis=1), 0.0)
    mine[rows] = some


def _add(mine: StateColumn, sample: Counts, slot: Timestamp) -> None:
    """Add one sample per model; when all cells are full, merge them in pairs into cells of twice the length."""
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
