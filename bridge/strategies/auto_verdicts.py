"""Verdicts of `auto`, and what they say to people."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bridge.domain.batch import ERRORS, VALUE, EventBatch
from bridge.domain.verdict import Floats, Verdicts
from bridge.strategies.base import signal_word
from bridge.strategies.detector import in_unit

STATISTICS = ("value", "change", "shift", "residual")
VALUE_INDEX, CHANGE_INDEX, SHIFT_INDEX, RESIDUAL_INDEX = range(4)
EXCESS_INDEX = CHANGE_INDEX  # the same place for error rates: the excess of errors in a window, instead of a CUSUM
DAY_INDEX = 4  # the mean of a day; its alarms follow from a limit of its own

Int8 = NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class AutoVerdicts(Verdicts):
    """Verdicts with the cause of each alarm; all (k,).

    which: index of the statistic in STATISTICS, EXCESS_INDEX, or DAY_INDEX.
    side: 1 for up, -1 for down.
    usual: usual level, in the signal's unit.
    highest: highest score since the alarm began.
    low, high: bounds beyond which a single value is breached, in the signal's unit; where only one direction counts,
        the other bound is the usual level; NaN while unknown.
    """

    which: Int8
    side: Int8
    usual: Floats
    highest: Floats
    low: Floats
    high: Floats

    def band(self) -> tuple[Floats, Floats]:
        """Return `low` and `high`."""
        return self.low, self.high


def describe(batch: EventBatch, position: int, verdicts: Verdicts) -> str:
    """Return how the value at a position differs from its usual behaviour, in the signal's unit."""
    word, value = signal_word(batch), float(batch.values()[position])
    if not isinstance(verdicts, AutoVerdicts):
        return f"{word} {in_unit(value, batch)}"
    usual, score = in_unit(float(verdicts.usual[position]), batch), float(verdicts.highest[position])
    limit, which = float(verdicts.threshold[position]), int(verdicts.which[position])
    up = verdicts.side[position] > 0
    if which == DAY_INDEX:
        change = f"its mean over a day {'rose above' if up else 'fell below'} the {usual} of recent weeks"
        return f"{word} {in_unit(value, batch)}; {change} ({score / limit:.3g} times as far as the limit)"
    if ERRORS in batch.columns and VALUE not in batch.columns:
        number = f"CUSUM {score:.3g}, limit {limit:.3g}"
        if which == EXCESS_INDEX:
            number = f"errors of a window {score / limit:.3g} times as far above usual daily peaks as the limit"
        return f"{word} {in_unit(value, batch)}, usually {usual} ({number})"
    text = {
        VALUE_INDEX: f"is {'higher' if up else 'lower'} than usual {'highs' if up else 'lows'} of {usual}",
        CHANGE_INDEX: f"{'rose' if up else 'fell'} more steeply than ever; {usual} was expected",
        RESIDUAL_INDEX: f"is {'above' if up else 'below'} the {usual} that was expected for this hour",
        SHIFT_INDEX: f"has stayed {'above' if up else 'below'} its usual {usual} for this hour",
    }[which]
    return f"{word} {in_unit(value, batch)} {text} ({score:.3g} spreads above usual daily peaks, limit {limit:.3g})"
