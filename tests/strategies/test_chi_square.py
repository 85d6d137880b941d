"""Chi-square on buckets: against scipy and by hand."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from scipy.stats import chi2_contingency

from bridge.domain.batch import EventKind
from bridge.domain.rule import StrategySpec
from bridge.strategies.histograms import chi_square_statistic, histogram_pair, merged
from bridge.strategies.registry import build
from tests.support.histograms import INF, NAN, batch, judged

EXAMPLE: dict[str, Any] = {"alpha": 0.01, "min_effect": 0.05}
BOUNDS = (0.1, 0.2, 0.4, INF)
CALM, MOVED = [250.0, 500.0, 750.0, 1000.0], [100.0, 200.0, 400.0, 1000.0]


def test_statistic_and_p_are_those_of_scipy() -> None:
    """500 random pairs of histograms with sufficiently full cells."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(8, 20.0), (2, 500))
    sizes = rng.integers(1_000, 20_000, (2, 500))
    counts = rng.multinomial(sizes, shares)
    rows = counts.cumsum(axis=2).tolist()
    one = batch(rows[0], rows[1], (*range(1, 8), INF))
    pair = histogram_pair(one, slice(None), 1)
    assert pair is not None
    statistic = chi_square_statistic(merged(pair), pair.n, pair.m)
    p = build(StrategySpec("chi_square", EXAMPLE)).analyse_batch(one, None).p
    assert p is not None
    expected = [chi2_contingency(counts[:, index], correction=False) for index in range(500)]
    assert np.allclose(statistic, [item.statistic for item in expected], rtol=1e-11)
    assert np.allclose(p, [item.pvalue for item in expected], rtol=0, atol=1e-10)


def test_cells_are_merged_until_five_are_expected_in_both() -> None:
    """By hand: of 100 and 400, a pooled cell needs 25. What is left at the end joins the last cell."""
    now, before = [2, 10, 3, 40, 41, 4], [8, 40, 12, 160, 164, 16]
    one = batch([np.cumsum(now).tolist()], [np.cumsum(before).tolist()], (1, 2, 3, 4, 5, INF))
    pair = histogram_pair(one, slice(None), 1)
    assert pair is not None
    cells = merged(pair)
    assert cells.current[:, 0].tolist() == [0, 12, 0, 43, 45, 0]
    assert cells.reference[:, 0].tolist() == [0, 48, 0, 172, 180, 0]
    assert cells.number.tolist() == [3]
    assert chi_square_statistic(cells, pair.n, pair.m).tolist() == pytest.approx([0.0], abs=1e-12)


def test_a_difference_must_be_significant_and_large() -> None:
    """A tenth in different buckets: chance among 100, significant among 10,000, below a limit of 20 %."""
    few, many = (batch([[0.35 * n, 0.5 * n, 0.75 * n, n]], [CALM], BOUNDS) for n in (100, 10_000))
    assert judged("chi_square", few, min_effect=0.05) == [("OK", "NONE")]
    assert judged("chi_square", many, min_effect=0.05) == [("BREACHED", "NONE")]
    assert judged("chi_square", many, min_effect=0.2) == [("OK", "NONE")]


def test_few_observations_on_either_side_are_inconclusive() -> None:
    """`increase` overestimates slightly: 100.9 count as 100, and 99.9 as 99."""
    small = [count * 0.0999 for count in CALM]
    rows = [[count * 0.1009 for count in CALM], small, CALM]
    result = judged("chi_square", batch(rows, [CALM, CALM, small], BOUNDS))
    assert result == [("OK", "NONE"), ("INCONCLUSIVE", "INSUFFICIENT"), ("INCONCLUSIVE", "INSUFFICIENT")]


def test_histograms_that_are_not_whole_are_not_judged() -> None:
    """No +Inf bucket, no sample, no reference, a count below 0 or infinite: each has its cause."""
    gone, no_inf = [NAN] * 4, [*CALM[:3], NAN]
    rows = [no_inf, gone, MOVED, MOVED, [-5.0, *CALM[1:]], [1.0, 2.0, INF, INF], MOVED]
    references = [CALM, CALM, gone, no_inf, CALM, CALM, CALM]
    assert judged("chi_square", batch(rows, references, BOUNDS)) == [
        ("INCONCLUSIVE", "NAN"),
        ("INCONCLUSIVE", "NAN"),
        ("INCONCLUSIVE", "NO_DATA"),
        ("INCONCLUSIVE", "NAN"),
        ("INCONCLUSIVE", "NAN"),
        ("INCONCLUSIVE", "NAN"),
        ("BREACHED", "NONE"),
    ]


def test_without_a_bucket_for_everything_no_model_is_judged() -> None:
    """The whole result has no le="+Inf"."""
    one = batch([[250.0, 500.0]], [[100.0, 500.0]], (0.1, 0.2))
    assert judged("chi_square", one) == [("INCONCLUSIVE", "NAN")]
    strategy = build(StrategySpec("chi_square", {}))
    assert strategy.describe(one, 0, strategy.analyse_batch(one, None)) == "latency has no histograms to compare"


def test_one_bucket_shows_nothing() -> None:
    """All observations are in one bucket, so changes within it are invisible."""
    inside = [0.0, 1000.0, 1000.0, 1000.0]
    assert judged("chi_square", batch([inside], [inside], BOUNDS)) == [("INCONCLUSIVE", "BLIND")]


def test_only_bounds_that_both_have_are_compared() -> None:
    """A new version with other buckets: its 0.2 and the reference's 0.1 are left out, and the counts stay whole."""
    now, before = [NAN, 500.0, 600.0, 1000.0], [250.0, NAN, 600.0, 1000.0]
    assert judged("chi_square", batch([now], [before], BOUNDS)) == [("OK", "NONE")]
    assert judged("chi_square", batch([now], [[250.0, NAN, 900.0, 1000.0]], BOUNDS)) == [("BREACHED", "NONE")]
    nothing_in_common = [NAN, 500.0, NAN, 1000.0]
    result = judged("chi_square", batch([nothing_in_common], [[250.0, NAN, 750.0, 1000.0]], BOUNDS))
    assert result == [("INCONCLUSIVE", "BLIND")]


def test_counts_that_fall_from_bound_to_bound_are_lifted() -> None:
    """A library user may pass what no source would."""
    strategy = build(StrategySpec("chi_square", EXAMPLE))
    falling, lifted = ([250.0, 240.0, 750.0, 700.0], [250.0, 250.0, 750.0, 750.0])
    result = strategy.analyse_batch(batch([falling, lifted], [CALM] * 2, BOUNDS), None)
    assert result.statistic.round(12).tolist() == [0.5, 0.5]


def test_models_are_judged_by_themselves_over_the_borders_of_chunks() -> None:
    """9,000 models, alternately unchanged, moved and missing."""
    rows = [CALM, MOVED, [NAN] * 4] * 3000
    result = judged("chi_square", batch(rows, [CALM] * 9000, BOUNDS))
    assert result == [("OK", "NONE"), ("BREACHED", "NONE"), ("INCONCLUSIVE", "NAN")] * 3000


def test_the_reason_is_reported_in_units() -> None:
    """From exact sums, or as `about` from bucket midpoints; other events have no unit."""
    strategy = build(StrategySpec("chi_square", {}))
    sums: dict[str, Any] = {"sum": [158.0], "reference_sum": [120.0]}
    exact = batch([MOVED], [CALM], BOUNDS, **sums)
    assert strategy.describe(exact, 0, strategy.analyse_batch(exact, None)) == (
        "mean of latency +38 ms, 158 ms instead of 120 ms; chi-square 278.2 (df 3), p 5.1e-60 (limit 0.0001);"
        " 35 % of observations in different buckets (limit 10 %); 1000 observations, 1000 in the reference"
    )
    plain = batch([MOVED], [CALM], BOUNDS)
    text = strategy.describe(plain, 0, strategy.analyse_batch(plain, None))
    assert text.startswith("mean of latency about +95 ms, 320 ms instead of 225 ms; chi-square")
    slow = batch([MOVED], [CALM], BOUNDS, sum=[20_000.0], reference_sum=[0.0])
    assert strategy.describe(slow, 0, strategy.analyse_batch(slow, None)).startswith("mean of latency +20 s, 20 s ins")
    custom = batch([MOVED], [CALM], BOUNDS, event=EventKind.CUSTOM, **sums)
    text = strategy.describe(custom, 0, strategy.analyse_batch(custom, None))
    assert text.startswith("mean of latency +0.038, 0.158 instead of 0.12; ")
    empty = batch([[0.0] * 4], [CALM], BOUNDS)
    text = strategy.describe(empty, 0, strategy.analyse_batch(empty, None))
    assert text.startswith("mean of latency unknown; ")
