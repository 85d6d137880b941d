"""Shared causes: evidence for and against, against exact tails and on drawn fleets."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.rule import SharedCauses
from bridge.domain.shared_cause import SharedCause, Siblings, log_binomial_tail
from bridge.domain.times import DAY, HOUR, MINUTE

AT = 100 * HOUR
SETTINGS = SharedCauses(("node",))


def fleet(sizes: list[int], onsets: dict[int, int], settings: SharedCauses = SETTINGS) -> Siblings:
    """Node i has sizes[i] models, one of each pipeline; onsets: row -> begin of its breach."""
    nodes = np.repeat(np.arange(len(sizes)), sizes)
    onset = np.zeros(len(nodes), np.int64)
    for row, at in onsets.items():
        onset[row] = at
    names = [f"n{number}" for number in range(len(sizes))]
    pipelines = [f"shop/p{row}" for row in range(len(nodes))]
    rows = np.arange(len(nodes))
    return Siblings(
        settings, {"errors": onset}, np.ones(len(nodes), np.bool_), rows, {"node": nodes}, {"node": names}, pipelines
    )


def exact_tail(k: int, n: int, p: Fraction) -> Fraction:
    return sum((math.comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1)), Fraction(0))


@pytest.mark.parametrize(("k", "n", "p"), [(3, 4, "1/20"), (17, 20, "1/3"), (40, 400, "1/50"), (1, 1, "1/2")])
def test_the_tail_equals_exact_arithmetic(k: int, n: int, p: str) -> None:
    """Sums of exact fractions."""
    expected = float(exact_tail(k, n, Fraction(p)))
    assert math.exp(log_binomial_tail(k, n, float(Fraction(p)))) == pytest.approx(expected, rel=1e-9)


def test_a_tail_that_cannot_be_evidence() -> None:
    """A count at or below the mean is no evidence; one above n is impossible."""
    assert log_binomial_tail(5, 10, 0.5) == 0.0
    assert log_binomial_tail(11, 10, 0.5) == -math.inf


def test_many_on_one_node_are_a_shared_cause() -> None:
    """17 of 20 on a node within minutes, none of 80 elsewhere."""
    siblings = fleet([20, 80], {row: AT + row * MINUTE for row in range(17)})
    cause = siblings.weigh(3)
    assert cause is not None
    assert (cause.key, cause.breached, cause.total, cause.since) == (("node", "n0"), 17, 20, AT)
    assert str(cause) == '17 of 20 models with node="n0" are unhealthy, and 0 of 80 others'
    assert cause.models[:2] == ("shop/p0", "shop/p1")


def test_one_of_many_is_the_model_itself() -> None:
    """A model that decays alone, and two that decay at the same time by chance."""
    assert fleet([20, 80], {3: AT}).weigh(3) is None
    assert fleet([20, 80], {3: AT, 4: AT}).weigh(3) is None


def test_breaches_of_other_days_are_no_evidence() -> None:
    """Models that have been unhealthy for long say nothing about a breach of now."""
    siblings = fleet([20, 80], {**dict.fromkeys(range(10), AT - 48 * HOUR), 15: AT})
    assert siblings.weigh(15) is None


def test_an_incident_of_everything_needs_no_label() -> None:
    """Every node is hit: no node stands out, all models do."""
    cause = fleet([10, 10, 10], dict.fromkeys(range(25), AT)).weigh(0)
    assert cause is not None
    assert (cause.label, str(cause)) == ("", "25 of all 30 models are unhealthy")


def test_later_breaches_refine_the_suspicion_that_it_is_the_fleet() -> None:
    """Once the node explains the others, its models have that cause, and a model elsewhere its own."""
    early = {**dict.fromkeys(range(4), AT), 20: AT}
    suspected = fleet([12, 12], early).weigh(20)
    assert suspected is not None
    assert str(suspected) == "5 of all 24 models are unhealthy"
    same = fleet([12, 12], early).refined(suspected, 20)
    assert same == suspected
    later = fleet([12, 12], {**dict.fromkeys(range(9), AT), 20: AT})
    node = later.refined(suspected, 0)
    assert node is not None
    assert str(node) == '9 of 12 models with node="n0" are unhealthy, and 1 of 12 others'
    assert later.refined(suspected, 20) is None
    assert later.refined(node, 20) is not None, "only a suspicion against the fleet is refined"
    assert fleet([12, 12], {20: AT}).refined(suspected, 20) == suspected, "when they recover, `recovered` decides"
    everywhere = fleet([12, 12], dict.fromkeys([*range(9), *range(12, 22)], AT))
    whole = everywhere.refined(suspected, 20)
    assert whole is not None
    assert str(whole) == "19 of all 24 models are unhealthy"


def test_versions_of_one_pipeline_count_once() -> None:
    """Four versions of a pipeline that breach together are one decay, on whatever node."""
    rows = np.arange(20)
    pipelines = np.array([0, 0, 0, 0, *range(1, 17)])
    onset = np.where(rows < 4, AT, 0)
    names = [f"shop/p{number}" for number in range(17)]
    siblings = Siblings(
        SETTINGS, {"errors": onset}, np.ones(20, np.bool_), pipelines, {"node": rows * 0}, {"node": ["n0"]}, names
    )
    assert siblings.weigh(0) is None


def test_a_model_that_shows_something_else_has_its_own_cause() -> None:
    """Ten of a node are slow; one drifts, and one is slow and drifts."""
    rows = np.arange(20)
    slow, drift = np.where(rows < 11, AT, 0), np.where((rows == 10) | (rows == 12), AT, 0)
    names = [f"shop/p{row}" for row in rows]
    whole = np.ones(20, np.bool_)
    siblings = Siblings(
        SETTINGS, {"latency": slow, "drift": drift}, whole, rows, {"node": rows * 0}, {"node": ["n0"]}, names
    )
    assert siblings.weigh(12) is None
    assert siblings.weigh(12, {("node", "n0")}) is None
    assert siblings.weigh(10) is not None


def test_a_later_model_shares_a_cause_that_is_known() -> None:
    """It fires hours after the others; while they are unhealthy the incident is not over."""
    siblings = fleet([20, 80], {**dict.fromkeys(range(12), AT), 15: AT + 5 * HOUR})
    assert siblings.weigh(15) is None
    cause = siblings.weigh(15, {("node", "n0")})
    assert cause is not None
    assert (cause.breached, cause.total) == (13, 20)


def test_siblings_recover_when_few_are_left() -> None:
    """Half of the share that was unhealthy; the model itself does not count."""
    cause = SharedCause("node", "n0", 16, 20, 0, 80, AT)
    assert not fleet([20, 80], dict.fromkeys(range(9), AT)).recovered(cause, 0)
    assert fleet([20, 80], dict.fromkeys(range(8), AT)).recovered(cause, 0)
    assert not fleet([9, 80], {0: AT}).recovered(cause, 0), "too few siblings are known"
    assert fleet([20, 80], {}, SharedCauses(())).recovered(SharedCause("gone", "x", 3, 3, 0, 9, AT), 0)
    assert not fleet([20, 80], {}).recovered(SharedCause("node", "unseen", 3, 3, 0, 9, AT), 0)


@given(
    sizes=st.lists(st.integers(8, 30), min_size=4, max_size=12),
    share=st.floats(0.7, 1.0),
    seed=st.integers(0, 2**32 - 1),
)
def test_an_incident_of_one_node_is_found_and_only_there(sizes: list[int], share: float, seed: int) -> None:
    """Whatever the sizes of the nodes: hit models of the node share the cause, single ones elsewhere do not."""
    rng = np.random.default_rng(seed)
    hit = max(3, math.ceil(share * sizes[0]))
    onsets = {row: AT + int(rng.integers(0, 30 * MINUTE)) for row in range(hit)}
    alone = sum(sizes) - 1
    siblings = fleet(sizes, {**onsets, alone: AT})
    cause = siblings.weigh(0)
    assert cause is not None, f"seed {seed}"
    if cause.label == "node":
        assert (cause.value, cause.breached, cause.total) == ("n0", hit, sizes[0])
        assert siblings.weigh(alone) is None or siblings.weigh(alone).label == ""  # type: ignore[union-attr]


@settings(derandomize=True)  # chance may find a cause
@given(st.integers(2, 200), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_scattered_breaches_are_hardly_ever_a_cause(models: int, nodes: int, seed: int) -> None:
    """Every model breaches at a random moment of a month and stays unhealthy."""
    rng = np.random.default_rng(seed)
    place = rng.integers(0, nodes, models)
    sizes = np.bincount(place, minlength=nodes).tolist()
    onsets = {row: AT + int(rng.integers(0, 30 * DAY)) for row in range(models)}
    siblings = fleet(sizes, onsets)
    found = [siblings.weigh(row) for row in range(models)]
    assert sum(cause is not None and cause.label == "node" for cause in found) <= 0.05 * models + 1, f"seed {seed}"
