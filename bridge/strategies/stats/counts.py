"""Errors and requests of windows that do not overlap, for strategies that count them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator

from bridge.domain.batch import ERRORS, TOTAL, EventBatch
from bridge.domain.times import SECOND, Duration, Timestamp, format_duration, parse_duration
from bridge.domain.verdict import Floats
from bridge.strategies.base import StrategyConfig

Bools = NDArray[np.bool_]


def _span(text: str) -> str:
    duration = parse_duration(text)
    if duration <= 0:
        raise ValueError("must be longer than 0")
    return format_duration(duration)


Span = Annotated[str, AfterValidator(_span)]
"""A duration > 0 as rule files write it, such as 30m or 3d; `parse_duration` makes milliseconds of it."""


class CountingConfig(StrategyConfig):
    """Parameters that say what one sample of `errors` and `total` covers.

    window: the range of the signal's expressions; a sample with requests is counted when the last counted one is at
    least so old.
    samples: whether they are counts of the window (`increase`), or counts per second (`rate`).
    """

    window: Span = "5m"
    samples: Literal["increase", "rate"] = "increase"


class Counts(NamedTuple):
    """errors, total: (k,) requests of each sample's window, errors <= total. usable: (k,) neither missing nor odd."""

    errors: Floats
    total: Floats
    usable: Bools

    @property
    def some(self) -> Bools:
        """Which samples (k,) hold requests. One without takes no turn: the next step of a slow counter may be in it."""
        return self.usable & (self.total > 0)


def counts(batch: EventBatch, config: CountingConfig) -> Counts:
    """The batch's columns as numbers of requests; what is not usable is 0."""
    scale = 1.0 if config.samples == "increase" else parse_duration(config.window) / SECOND
    errors, total = batch.column(ERRORS) * scale, batch.column(TOTAL) * scale
    usable = np.isfinite(errors) & np.isfinite(total) & (errors >= 0) & (total >= 0)
    total = np.where(usable, total, 0.0)
    # Two queries may see a scrape between them: more errors than requests are all of the requests.
    return Counts(np.minimum(np.where(usable, errors, 0.0), total), total, usable)


def take_due(following: NDArray[np.int64], offered: Bools, slot: Timestamp, window: Duration) -> Bools:
    """Return which of the offered samples (k,) begin no earlier than the last counted one ended.

    following: (k,) the first slot whose sample may be counted, 0 = any; moved on in place. A step of a counter is seen
    by every slot of one window: offered as long as it is seen, it is counted once.
    """
    due = offered & (slot >= following)
    following[due] = slot + window
    return due
