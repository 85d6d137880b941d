"""KSWIN: two-sample Kolmogorov-Smirnov test of the latest samples against those before them."""

from __future__ import annotations

from functools import lru_cache
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn
from bridge.strategies.detector import Detector, DetectorConfig, DetectorOutput
from bridge.strategies.stats.standardise import NO_UNCERTAINTY, Uncertainty

CHUNK = 4096  # models processed together, so that their windows fit into the CPU cache


class KswinConfig(DetectorConfig):
    """Parameters of `kswin: {}`.

    - `window`: number of samples in the window
    - `recent`: number of latest samples that are compared with the others
    - `alpha`: significance level of a single comparison, by the exact distribution
    """

    window: int = Field(default=100, ge=10, le=200)
    recent: int = Field(default=30, ge=5)
    alpha: float = Field(default=1e-5, gt=0, lt=1)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.recent > self.window - 5:
            raise ValueError(
                f"recent ({self.recent}) must leave five samples of window ({self.window}) to compare with"
            )
        if critical(self.window - self.recent, self.recent, self.alpha) is None:
            raise ValueError(f"alpha {self.alpha:g} cannot be reached with {self.recent} of {self.window} samples")
        return self


class KswinStrategy(Detector):
    """Strategy that is breached when the distribution of the latest samples differs from that of the samples before.

    When to use: if not only the level but also the spread or the shape of the values may change. After a change, only
    the latest samples stay in the window. The published method compares them with a random subset of the earlier ones,
    this strategy with all earlier ones, by the exact distribution of the distance.
    Source: Raab, Heusinger, Schleif, Reactive soft prototype computing for concept drift streams, Neurocomputing 2020.
    """

    name = "kswin"
    title = "KS distance"
    suspicion = 0.8
    Config = KswinConfig

    def __init__(self, config: KswinConfig) -> None:
        super().__init__(config, [("count", np.int32), ("ring", np.float32, (config.window,))])
        self._window, self._recent = config.window, config.recent
        self._earlier = config.window - config.recent
        self._limit = critical(self._earlier, self._recent, config.alpha) or 0

    def detect(self, z: Floats, own: StateColumn, uncertainty: Uncertainty = NO_UNCERTAINTY) -> DetectorOutput:
        """Append the samples to their windows, and compare the two parts of the windows that are full."""
        # The window is kept in order: moving 400 bytes costs less than reordering it for every comparison.
        ring, count = own["ring"], own["count"]
        ring[:, :-1] = ring[:, 1:].copy()
        ring[:, -1] = z + 0.0  # no negative zero
        own["count"] = np.minimum(count + 1, self._window)
        full = np.flatnonzero(own["count"] == self._window)
        distance, rise = np.zeros(len(z)), np.ones(len(z), np.bool_)
        for start in range(0, len(full), CHUNK):
            rows = full[start : start + CHUNK]
            distance[rows], rise[rows] = self._distances(ring[rows])
        hit = distance >= self._limit
        own["count"] = np.where(hit, self._recent, own["count"])
        scale = self._earlier * self._recent
        # Distances are multiples of 1 / scale: with the limit half a multiple lower, reaching it means exceeding it.
        limit = np.full(len(z), (self._limit - 0.5) / scale)
        return DetectorOutput(distance / scale, limit, np.where(rise, np.int8(1), np.int8(-1)), hit)

    def _distances(self, rings: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the greatest distance (k,) between the distributions times both sizes, and True for a rise."""
        # Sort integers whose last bit marks the part of a sample: sorting indices as well is much slower.
        bits = rings.view(np.int32)
        keys = (bits ^ ((bits >> 31) & 0x7FFFFFFF)) & ~1
        keys[:, self._earlier :] |= 1
        keys.sort(axis=1)
        weight = np.where(keys & 1, np.int32(-self._earlier), np.int32(self._recent))
        gap = np.cumsum(weight, axis=1, dtype=np.int32)
        keys >>= 1
        gap[:, :-1][keys[:, 1:] == keys[:, :-1]] = 0  # neither function has risen yet within a tie
        most, least = gap.max(axis=1), gap.min(axis=1)
        return np.maximum(most, -least).astype(np.int64), most >= -least


@lru_cache(maxsize=64)
def critical(n: int, m: int, alpha: float) -> int | None:
    """Return the critical distance, times n m, of two samples of sizes n and m at significance level alpha.

    Exact, by counting lattice paths (Hodges, Arkiv for Matematik 3, 1958); None when alpha cannot be reached.
    """
    i, j = np.arange(n + 1)[:, None], np.arange(m + 1)[None, :]
    away = np.abs(i * m - j * n)
    candidates = np.unique(away)
    low, high = 0, len(candidates)  # bisection for the first candidate with a probability of at most alpha
    while low < high:
        middle = (low + high) // 2
        if _probability(away, int(candidates[middle])) <= alpha:
            high = middle
        else:
            low = middle + 1
    return None if low == len(candidates) else int(candidates[low])


def _probability(away: NDArray[np.int64], distance: int) -> float:
    """Return the probability of reaching `distance`: 1 minus the share of lattice paths that stay below it."""
    n, m = away.shape[0] - 1, away.shape[1] - 1
    inside = (away < distance).astype(np.float64)
    share = np.zeros(m + 1)  # share of the paths to (i, j) that stayed inside
    for i in range(n + 1):
        for j in range(m + 1):
            if i == j == 0:
                share[0] = 1.0
            else:
                before = (i * share[j] if i else 0.0) + (j * share[j - 1] if j else 0.0)
                share[j] = inside[i, j] * before / (i + j)
    return 1 - float(share[m])
