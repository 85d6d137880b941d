"""Histograms of many models as columns of cumulative counts."""

from __future__ import annotations

import numpy as np

from bridge.domain.verdict import Floats


def means(counts: Floats, bounds: Floats | None, total: Floats | None = None) -> Floats:
    """Return the means (k,) of histograms; NaN without observations or without a +Inf bucket.

    counts: (k, b), cumulative counts.
    bounds: (b,), upper bounds.
    total: (k,), sum of the observations. Where it is missing, each observation counts as the middle of its bucket. The
        first bucket starts at 0 if all bounds are positive; observations above the last finite bound count as that
        bound.
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
    """Return the sums (k,) over all observations, each taken as the middle of its bucket."""
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
