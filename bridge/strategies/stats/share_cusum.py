"""CUSUM of an error rate: log likelihood ratios for twice the usual odds.

The usual error rate is learnt; overdispersed errors weigh less (quasi-likelihood: McCullagh and Nelder, Generalized
Linear Models, 1989, chapter 9). The CUSUM is Page's, Biometrika 41 (1954).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import HOUR
from bridge.domain.verdict import Floats
from bridge.strategies.base import StateColumn

ODDS = 2.0  # odds ratio of the change to detect
LIMIT = 12.0  # limit of the sum: evidence of e^12
MEMORY = 24 * HOUR  # time constant of the usual error rate
WARM_UP = 12 * HOUR
LEAST, MOST = 1e-4, 0.5  # bounds of the usual error rate
OUTLIER = 9.0  # clipping limit of a squared deviation, in variances
SINGLE = 0.1  # greatest weight of one sample in the overdispersion

Bools = NDArray[np.bool_]


class ShareChange(NamedTuple):
    """Result for k models; all (k,).

    usual, now: error rates before and since the sum began to rise.
    total: the CUSUM.
    known: warmed up.
    hit: the CUSUM exceeds its limit.
    """

    usual: Floats
    now: Floats
    total: Floats
    known: Bools
    hit: Bools


class ShareCusum:
    """CUSUM of the error rates of many models. fields: dtype fields of one model's state; zero = never seen."""

    fields: tuple[Any, ...] = (
        ("errors", np.float64), ("requests", np.float64), ("bursts", np.float64), ("sum", np.float64),
        ("new_errors", np.float64), ("new_requests", np.float64), ("lived", np.float64),
    )  # fmt: skip

    def step(
        self, errors: Floats, requests: Floats, passed: NDArray[np.int64], seen: NDArray[np.int64], own: StateColumn
    ) -> ShareChange:
        """Evaluate errors (k,) of requests (k,) > 0, and learn from them; update the state own (k,) in place.

        passed: (k,) ms since each model's last sample with requests.
        seen: (k,) ms of these for which the model was observed.
        After a hit, the new error rate becomes the usual one.
        """
        own["lived"] += seen
        usual = np.clip((own["errors"] + 0.5) / (own["requests"] + 1.0), LEAST, MOST)
        odds = ODDS * usual / (1 - usual)
        ratio = np.log1p(odds)  # log ratio of the shares of good requests, without the term of the usual share
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
        return ShareChange(usual, now, total, known, hit)

    @staticmethod
    def _learn(
        errors: Floats, requests: Floats, passed: NDArray[np.int64], usual: Floats, doubtful: Bools, hit: Bools,
        own: StateColumn,
    ) -> None:  # fmt: skip
        """Learn the usual error rate and its overdispersion, except while a rise is likely."""
        gain = np.where(doubtful, 0.0, -np.expm1(-passed / MEMORY))
        known = own["requests"]
        variance = requests * usual * (1 - usual) * (1 + requests / (known + 1))  # includes the error of the usual rate
        squared = np.minimum((errors - requests * usual) ** 2 / variance, OUTLIER)
        own["bursts"] += np.where(known > 0, np.minimum(gain, SINGLE), 0.0) * (squared - own["bursts"])
        learnt = np.where(doubtful, 0.0, 1.0)
        own["errors"] = np.where(hit, own["new_errors"], (1 - gain) * own["errors"] + learnt * errors)
        own["requests"] = np.where(hit, own["new_requests"], (1 - gain) * own["requests"] + learnt * requests)
