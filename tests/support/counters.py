"""Counters as Prometheus sees them: steps, scrapes, and `increase` over the samples of a range."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.times import DAY, SECOND

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC


@dataclass(frozen=True)
class Counters:
    """Counters of k models that all step every `period`, each at a phase of its own (k,), and are scraped.

    A step adds what the second before each scrape of the same period added up to: a day has as many requests however
    often a counter steps. bad: from this time on, `worse` of the requests fail, before it `share` of them.
    """

    period: int
    phases: Times
    scrape: int = 60 * SECOND
    scrape_phase: int = 0
    a_day: float = 200_000.0
    share: float = 0.01
    worse: float = 0.08
    bad: int = START + 100 * DAY

    def steps(self, at: Times) -> Times:
        """How often each counter (k,) has stepped by each time (n,); (n, k)."""
        return np.asarray((at[:, None] - START - self.phases) // self.period)

    def counts(self, at: Times) -> tuple[Floats, Floats]:
        """Errors and requests (n, k) since the start, as a process would show them."""
        steps = self.steps(at).astype(float)
        each = self.a_day * self.period / DAY
        before = np.clip((self.bad - START - self.phases) // self.period, 0, None).astype(float)
        good = np.minimum(steps, before)
        return each * (self.share * good + self.worse * (steps - good)), each * steps

    def increase(self, slot: int, window: int) -> tuple[Floats, Floats]:
        """Errors and requests (k,) as `increase` has them, extrapolated as Prometheus does; (t - window, t]."""
        first = -(-(slot - window + 1 - START - self.scrape_phase) // self.scrape)
        last = (slot - START - self.scrape_phase) // self.scrape
        ends = START + self.scrape_phase + np.array([first, last], np.int64) * self.scrape
        errors, total = (column[1] - column[0] for column in self.counts(ends))
        covered = float(ends[1] - ends[0])
        edges = [float(ends[0] - (slot - window)), float(slot - ends[1])]
        added = sum(edge if edge < 1.1 * self.scrape else self.scrape / 2 for edge in edges)
        factor = (covered + added) / covered
        return errors * factor, total * factor
