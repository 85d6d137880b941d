"""Histograms of many models as columns of cumulative counts."""

from __future__ import annotations

import numpy as np

from bridge.domain.verdict import Floats


def means(counts: Floats, bounds: Floats | None, total: Floats | None = None) -> Floats:
    """Means (k,) of histograms (k, b) with upper bounds (b,); NaN where there are no observations, or no +Inf bucket.

    total: (k,) what the observations add up to. Where it is not there, each counts as the middle of its bucket; the
    first one begins at 0 when all bounds are above it, and what is above the last bound counts as that bound.
    """
    if bounds is None or not len(bounds) or bounds[-1] != np.inf:
        return np.full(len(counts), np.nan)
    size = counts[:, -1]
    with np.errstate(divide="ignore", invalid="ignore"):
        exact = np.full(len(counts), np.nan) if total is None else total / size
        unknown = np.flatnonzero(np.isnan(exact) & (size > 0))
        exact[unknown] = _middles(counts[unknown], bounds) / size[unknown]
    return exact


def _middles(counts: Floats, bounds: Floats) -> Floats:
    """Sums (k,) of the middles of the buckets that each observation is in."""
    if len(bounds) == 1:
        return np.full(len(counts), np.nan)
    present = ~np.isnan(counts)
    below, edge = np.zeros(len(counts)), np.full(len(counts), np.nan)
    sums = np.zeros(len(counts))
    for column, bound in enumerate(bounds[:-1].tolist()):
        here = present[:, column]
        first = min(0.0, bound)
        middle = (np.where(np.isnan(edge), first, edge) + bound) / 2
        sums += np.where(here, (counts[:, column] - below) * middle, 0.0)
        below, edge = np.where(here, counts[:, column], below), np.where(here, bound, edge)
    return np.asarray(sums + (counts[:, -1] - below) * edge)
