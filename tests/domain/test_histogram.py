"""Means of histograms, by hand."""

from __future__ import annotations

import numpy as np

from bridge.domain.batch import EventBatch, EventKind
from bridge.domain.histogram import means
from bridge.domain.model import ModelKey, ModelTable

INF, NAN = np.inf, np.nan
BOUNDS = np.array([1.0, 2.0, 4.0, INF])


def shown(counts: list[list[float]], bounds: np.ndarray = BOUNDS, total: list[float] | None = None) -> list[str]:
    result = means(np.array(counts), bounds, None if total is None else np.array(total))
    return [f"{value:.4g}" for value in result.tolist()]


def test_observations_count_as_the_middle_of_their_bucket() -> None:
    """The first bucket starts at 0, and observations above the last bound count as that bound."""
    assert shown([[2, 4, 6, 8], [0, 0, 0, 5]]) == ["2.25", "4"]  # (2 * .5 + 2 * 1.5 + 2 * 3 + 2 * 4) / 8


def test_a_missing_bound_makes_a_wider_bucket() -> None:
    """From 1 to 4 the middle is 2.5; without the first bound, from 0 to 2 it is 1."""
    assert shown([[2, NAN, 6, 6], [NAN, 4, 6, 6]]) == ["1.833", "1.667"]


def test_buckets_below_zero_begin_at_their_bound() -> None:
    """The lower end of the first bucket is unknown."""
    assert shown([[1, 2, 2]], np.array([-2.0, 0.0, INF])) == ["-1.5"]


def test_what_is_known_exactly_is_not_guessed() -> None:
    """A missing sum is estimated from the bucket middles."""
    assert shown([[2, 4, 6, 8]] * 2, total=[20.0, NAN]) == ["2.5", "2.25"]


def test_without_observations_or_size_there_is_no_mean() -> None:
    """No count, no +Inf bucket, nothing but a +Inf bucket, no bounds."""
    assert shown([[0, 0, 0, 0], [1, 2, 3, NAN]]) == ["nan", "nan"]
    assert shown([[1, 2]], np.array([1.0, 2.0])) == ["nan"]
    assert shown([[3]], np.array([INF])) == ["nan"]
    assert shown([[3]], np.array([INF]), [6.0]) == ["2"]
    assert np.isnan(means(np.ones((2, 1)), None)).all()


def test_the_number_of_a_histogram_is_its_mean() -> None:
    """Rules show the mean, and `discover` counts a model without any bucket as missing."""
    table = ModelTable()
    index = np.array([table.row(ModelKey("p", "q", str(number))) for number in range(2)], np.int32)
    counts = np.array([[2.0, 4, 6, 8], [NAN] * 4])
    columns = {"buckets": counts, "reference": counts, "discover": np.ones(2)}
    batch = EventBatch("s", EventKind.CUSTOM, 0, table, index, columns, BOUNDS)
    assert batch.values()[0] == 2.25
    here, silent = batch.reporting()
    assert (here.index.tolist(), silent.tolist()) == ([0], [1])
    assert here.columns["buckets"].tolist() == [[2.0, 4.0, 6.0, 8.0]]
