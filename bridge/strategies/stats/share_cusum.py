"""Whether the share of requests that fail has gone up: a CUSUM of log likelihood ratios for twice the odds.

The usual share is learnt; errors that come in bursts count for less (quasi-likelihood: McCullagh and Nelder,
Generalized Linear Models, 1989, chapter 9). The CUSUM is Page's, Biometrika 41 (1954).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import HOUR
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

ODDS = 2.0  # the change that is looked for: so many times the usual odds
LIMIT = 12.0  # of the sum: evidence of e to the 12th
MEMORY = 24 * HOUR  # of requests are behind the usual share
WARM_UP = 12 * HOUR
LEAST, MOST = 1e-4, 0.5  # the usual share is taken to be between these
ODD = 9.0  # a sample's squared deviation, in its variances, that teaches no more
SINGLE = 0.1  # the most that one sample weighs in how bursty errors are

Bools = NDArray[np.bool_]


class Risen(NamedTuple):
    """usual, now: (k,) shares before and since the sum began to rise. total: (k,) the sum. known: warmed up."""

    usual: Floats
    now: Floats
    total: Floats
    known: Bools
    hit: Bools


class Shares:
    """For many models at once. fields: of the state of one; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("errors", np.float64), ("requests", np.float64), ("bursts", np.float64), ("sum", np.float64),
        ("new_errors", np.float64), ("new_requests", np.float64), ("lived", np.float64),
    )  # fmt: skip

    def step(
        self, errors: Floats, requests: Floats, passed: NDArray[np.int64], seen: NDArray[np.int64], own: StateColumn
    ) -> Risen:
        """Look at errors (k,) of requests (k,) > 0, and learn from them; own (k,) is changed in place.

        passed: (k,) ms since each model's last sample with requests; seen: of these, ms that were looked at. After a
        hit the new share is the usual one.
        """
        own["lived"] += seen
        usual = np.clip((own["errors"] + 0.5) / (own["requests"] + 1.0), LEAST, MOST)
        odds = ODDS * usual / (1 - usual)
        ratio = np.log1p(odds)  # of both shares of good requests, without the usual one's
        evidence = errors * np.log(ODDS) - requests * (ratio + np.log1p(-usual))
        total = np.maximum(own["sum"] + evidence / np.maximum(1.0, own["bursts"]), 0.0)
        rising = total > 0
        own["new_errors"] = np.where(rising, own["new_errors"] + errors, 0.0)
        own["new_requests"] = np.where(rising, own["new_requests"] + requests, 0.0)
        known = (own["lived"] >= WARM_UP) & (own["requests"] > 0)
        hit = known & (total > LIMIT)
        now = np.where(rising, own["new_errors"] / np.maximum(own["new_requests"], 1.0), errors / requests)
        self._learn(errors, requests, passed, usual, known & (total > LIMIT / 2), hit, own)
        own["sum"] = np.where(known & ~hit, total, 0.0)
        for name in ("new_errors", "new_requests"):
            own[name] = np.where(hit, 0.0, own[name])
        return Risen(usual, now, total, known, hit)

    @staticmethod
    def _learn(
        errors: Floats, requests: Floats, passed: NDArray[np.int64], usual: Floats, doubtful: Bools, hit: Bools,
        own: StateColumn,
    ) -> None:  # fmt: skip
        """The usual share and how bursty it is; not while a rise is likely."""
        gain = np.where(doubtful, 0.0, -np.expm1(-passed / MEMORY))
        known = own["requests"]
        variance = requests * usual * (1 - usual) * (1 + requests / (known + 1))  # the usual share is an estimate, too
        odd = np.minimum((errors - requests * usual) ** 2 / variance, ODD)
        own["bursts"] += np.where(known > 0, np.minimum(gain, SINGLE), 0.0) * (odd - own["bursts"])
        learnt = np.where(doubtful, 0.0, 1.0)
        own["errors"] = np.where(hit, own["new_errors"], (1 - gain) * own["errors"] + learnt * errors)
        own["requests"] = np.where(hit, own["new_requests"], (1 - gain) * own["requests"] + learnt * requests)
