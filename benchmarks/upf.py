"""UPF, the uncertainty-performance forecaster: F. Regol et al., When to retrain a machine learning model, ICML 2025.

As documented: the error rate of the model trained on batch i and serving batch j has a Beta distribution whose mean is
a linear function (elastic net) of i, j - i and j, and whose variance is that of the residuals. A retraining is due when
the 95th percentile of the cost with it is below the one without it. All pairs of the batches before `begin` are the
offline data; every batch served adds one. Left out: the shift of the mean features, which the bridge cannot see. Not
documented where we could read it: how far the forecast looks; here HORIZON batches.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta
from sklearn.linear_model import ElasticNet, ElasticNetCV

Floats = NDArray[np.float64]
HORIZON = 20  # batches
QUANTILE = 0.95
EACH_FIT = 5  # batches after which the regression is fitted again, to save time
L1_RATIOS = (0.1, 0.5, 0.9, 1.0)


def times(rates: Floats, begin: int, ratios: Sequence[float]) -> dict[float, list[int]]:
    """Return by ratio the batches after which UPF retrains. rates: (trained at, served at)."""
    trained, served = np.triu_indices(begin, 1)
    x, y = _features(trained, served, rates.shape[1]), rates[trained, served]
    chosen = ElasticNetCV(l1_ratio=list(L1_RATIOS), cv=5).fit(x, y)
    fitted = ElasticNet(alpha=chosen.alpha_, l1_ratio=chosen.l1_ratio_)
    return {ratio: _times(rates, begin, ratio, fitted, x, y) for ratio in ratios}


def _times(rates: Floats, begin: int, ratio: float, fitted: ElasticNet, x: Floats, y: Floats) -> list[int]:
    end, found, model = rates.shape[1], list[int](), begin - 1
    for batch in range(begin, end - 1):
        x = np.concatenate([x, _features(np.array([model]), np.array([batch]), end)])
        y = np.append(y, rates[model, batch])
        if (batch - begin) % EACH_FIT == 0:
            fitted.fit(x, y)
        variance = float(np.mean((y - x @ fitted.coef_ - fitted.intercept_) ** 2))
        ahead = np.arange(batch + 1, min(batch + HORIZON, end - 1) + 1)
        keep, renewed = (
            len(ahead) * quantile(float(features.mean(axis=0) @ fitted.coef_ + fitted.intercept_), variance)
            for features in (_features(np.full(len(ahead), one), ahead, end) for one in (model, batch))
        )
        if ratio + renewed < keep:
            found.append(batch)
            model = batch
    return found


def quantile(mean: float, variance: float) -> float:
    """Return the quantile of a Beta distribution; of the uniform one where the variance is too large for a mean."""
    mean = min(max(mean, 1e-4), 1 - 1e-4)
    size = mean * (1 - mean) / max(variance, 1e-10) - 1
    return float(beta.ppf(QUANTILE, mean * size, (1 - mean) * size)) if size > 0 else QUANTILE


def _features(trained: NDArray[np.int64], served: NDArray[np.int64], end: int) -> Floats:
    return np.stack([trained, served - trained, served], axis=1) / end * 4  # about one unit of standard deviation
