"""The closed loop of benchmarks/retraining_cost.py: its oracle by trying everything, its engine on a small fleet."""

from __future__ import annotations

from itertools import chain, combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks import policies, retraining_cost, upf
from benchmarks.streams import BATCHES, EACH, Served, Stream, serve
from bridge.domain.rule import StrategySpec

BEGIN = retraining_cost.BEGIN


def jump(at: int, before: float, after: float, seed: int) -> Served:
    """Models that are as good as can be until the concept jumps, and bad from then on."""
    rng = np.random.default_rng(seed)
    trained, served = np.arange(BATCHES)[:, None], np.arange(BATCHES)
    rate = np.where((trained < at) & (served >= at), after, before)
    wrong: NDArray[np.bool_] = rng.random((BATCHES, BATCHES, EACH)) < np.where(served > trained, rate, 0)[:, :, None]
    return Served(Stream("abrupt", "by hand", "none", seed), wrong)


def test_the_oracle_is_the_cheapest_of_all_choices() -> None:
    """Every set of times, tried one by one; seed 2."""
    rng = np.random.default_rng(2)
    for ratio in (0.01, 0.2, 1.0):
        rates = np.triu(rng.random((10, 10)), 1)
        choices = range(3, 9)
        every = chain.from_iterable(combinations(choices, many) for many in range(7))
        cheapest = min(policies.cost(rates, 3, times, ratio) for times in every)
        assert policies.cost(rates, 3, policies.oracle(rates, 3, ratio), ratio) == pytest.approx(cheapest)


def test_costs_are_errors_and_trainings() -> None:
    """By hand: two batches by the first model, three by the next."""
    rates = np.zeros((7, 7))
    rates[1, 2:] = 0.5
    rates[3, 4:] = 0.25
    assert policies.cost(rates, 2, [3], 0.1) == pytest.approx(2 * 0.5 + 3 * 0.25 + 0.1)
    assert policies.every(2, 2, 7) == [3, 5]


def test_a_threshold_is_the_one_that_was_cheapest_before() -> None:
    """The first 40 batches jump as the others do: CARA learns to retrain at jumps, and not when it is too dear."""
    rates = np.triu(np.full((BATCHES, BATCHES), 0.1), 1)
    for at in (20, 70, 110):
        rates[:at, at:] = np.where(rates[:at, at:] > 0, 0.6, 0)
    assert policies.cara(rates, BEGIN, 0.5, total=False) == [70, 110]
    assert policies.cara(rates, BEGIN, 50.0, total=False) == []


def test_a_period_is_the_one_that_was_cheapest_before() -> None:
    """Models age by 2 % a batch: the period of the first 40 batches is kept; none where no retraining is worth it."""
    age = np.arange(BATCHES)[None, :] - np.arange(BATCHES)[:, None]
    rates = np.where(age > 0, 0.02 * age, 0.0).clip(0, 1)
    found = policies.cara_periodic(rates, BEGIN, 0.16)  # the square root of 2 * 0.16 / 0.02: 4
    assert found == policies.every(4, BEGIN, BATCHES)
    assert policies.cara_periodic(rates, BEGIN, 1e3) == []


def test_upf_retrains_models_that_age_and_no_others() -> None:
    """What an elastic net forecasts: ageing is linear, and a retraining dearer than the horizon saves nothing."""
    rng = np.random.default_rng(7)
    age = np.arange(BATCHES)[None, :] - np.arange(BATCHES)[:, None]
    rates = np.where(age > 0, 0.1 + 0.005 * age + rng.normal(0, 0.005, age.shape), 0.0).clip(0, 1)
    found = upf.times(rates, BEGIN, [0.5, 100.0])
    assert found[100.0] == []
    assert 5 < len(found[0.5]) < 60
    flat = np.where(age > 0, 0.1 + rng.normal(0, 0.005, age.shape), 0.0)
    assert upf.times(flat, BEGIN, [0.5])[0.5] == []
    assert upf.quantile(0.3, 0.01) > 0.3
    assert upf.quantile(0.3, 1.0) == upf.QUANTILE


def test_detectors_are_shown_the_errors_of_the_model_in_service() -> None:
    """They find the jump in the batch in which it is or in the next one; ADWIN nothing else."""
    one = jump(60, 0.05, 0.5, 1)
    found = {name: policies.detected(one.wrong, BEGIN, fresh) for name, fresh in policies.detectors().items()}
    assert found["ADWIN"] == [60]
    assert 60 in found["DDM"]
    assert 61 in found["KSWIN"]


def test_retraining_is_requested_when_it_pays() -> None:
    """Of two streams one jumps: one retraining, as waiting for a second batch costs much, near the oracle's cost."""
    served = [jump(80, 0.05, 0.4, 3), jump(BATCHES, 0.05, 0.4, 4)]
    spec = StrategySpec("cost_aware", {"retraining_cost": 1.0 * EACH, "window": "6h"})
    times = retraining_cost.asked(served, spec)
    assert times == [[80], []]
    rates = served[0].errors / EACH
    best = policies.cost(rates, BEGIN, policies.oracle(rates, BEGIN, 1.0), 1.0)
    assert policies.cost(rates, BEGIN, times[0], 1.0) < best + 0.5


def test_a_stream_is_the_same_for_the_same_seed_and_no_model_sees_its_own_batch() -> None:
    """So that figures can be had again."""
    stream = Stream("abrupt", "sea", "bayes", 5)
    one, two = serve(stream), serve(stream)
    assert (one.wrong == two.wrong).all()
    assert not one.errors[np.tril_indices(BATCHES)].any()
    assert 50 < one.errors[BEGIN, BEGIN + 1] < 600


def test_cells_in_which_nothing_was_worth_a_retraining_are_not_counted() -> None:
    """And shares are those of the others."""
    costs = {"never": 10.0, "every k": 8.0, "ADWIN": 7.0, "cost_aware": 6.0, "oracle": 5.0}
    stream = Stream("abrupt", "sea", "bayes", 1)
    cells = [
        retraining_cost.Cell(stream, 1.0, costs, 3),
        retraining_cost.Cell(stream, 2.0, costs | {"cost_aware": 7.5}, 3),
        retraining_cost.Cell(stream, 5.0, dict.fromkeys(costs, 10.0), 3),
    ]
    told = retraining_cost.summary(cells)
    assert (told["cells"], told["live"]) == (3, 2)
    assert told["mean_to_oracle"] == {"never": 2.0, "every k": 1.6, "ADWIN": 1.4, "cost_aware": 1.35}
    assert told["best"] == {"baseline": "ADWIN", "online": "ADWIN"}
    assert told["cost_aware_cheaper"]["than_ADWIN"] == 0.5
    assert told["cost_aware_cheaper"]["than_each_cells_best"] == 0.5
    assert told["cost_aware_cheaper"]["than_never"] == 1.0
    assert told["cost_aware_dearer"]["than_ADWIN"] == 0.5
