"""Errors and requests of non-overlapping windows, for strategies that count them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, WithJsonSchema

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import DURATION_PATTERN, SECOND, Duration, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Floats
from bridge.strategies.base import StrategyConfig
from bridge.strategies.stats.scale import LARGEST

Bools = NDArray[np.bool_]


def _positive_duration(text: str) -> str:
    duration = parse_duration(text)
    if duration <= 0:
        raise ValueError("must be longer than 0")
    return format_duration(duration)


DurationText = Annotated[
    str,
    AfterValidator(_positive_duration),
    WithJsonSchema({"type": "string", "pattern": DURATION_PATTERN}, mode="validation"),
]
"""Duration > 0 as in rule files, such as 30m or 3d; `parse_duration` converts it to milliseconds."""


class CountingConfig(StrategyConfig):
    """Parameters that describe samples of `errors` and `total`.

    - `window`: range of the signal's expressions; a sample with requests is counted when the last counted one is at
    least this old
    - `samples`: `increase` for counts in the window, `rate` for counts per second
    """

    window: DurationText = "5m"
    samples: Literal["increase", "rate"] = "increase"


class Counts(NamedTuple):
    """Samples of k models; all (k,).

    errors, total: failed and all requests in the sample's window, errors <= total.
    usable: both numbers are present and valid.
    """

    errors: Floats
    total: Floats
    usable: Bools

    @property
    def some(self) -> Bools:
        """Mask (k,) of samples with requests; others are not counted, so as not to delay the step of a slow counter."""
        return self.usable & (self.total > 1 / LARGEST)


def counts(batch: EventBatch, config: CountingConfig) -> Counts:
    """Return the batch's columns as numbers of requests; unusable ones are 0."""
    scale = 1.0 if config.samples == "increase" else parse_duration(config.window) / SECOND
    errors, total = batch.column(ERRORS) * scale, batch.column(TOTAL) * scale
    usable = np.isfinite(errors) & (total < LARGEST) & (errors >= 0) & (total >= 0)
    total = np.where(usable, total, 0.0)
    # A scrape between the two queries may add errors only; cap errors at the number of requests.
    return Counts(np.minimum(np.where(usable, errors, 0.0), total), total, usable)


def take_due(following: NDArray[np.int64], offered: Bools, slot: Timestamp, window: Duration) -> Bools:
    """Return which of the offered samples (k,) begin no earlier than the last counted one ended.

    following: (k,) first slot whose sample may be counted, 0 = any; updated in place. A counter step is visible in
    every slot of one window; offered for as long as it is visible, it is counted once.
    """
    due = offered & (slot >= following)
    following[due] = slot + window
    return due
