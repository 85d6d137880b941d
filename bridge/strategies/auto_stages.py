"""Stages of `auto`: what it detects on a model so far, and from when it detects the rest."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import NamedTuple

import numpy as np

from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp, rfc3339
from bridge.strategies.auto_verdicts import CHANGE_INDEX, SHIFT_INDEX, VALUE_INDEX
from bridge.strategies.base import StateColumn
from bridge.strategies.stats import daily_means, shift
from bridge.strategies.stats.block_maxima import FEW_HOURS
from bridge.strategies.stats.seasonal_baseline import FEW
from bridge.strategies.stats.share_cusum import SETTLED


class Stage(NamedTuple):
    """Kind of change, and the time from which it is detected; about: other samples may move this time."""

    what: str
    since: Timestamp
    about: bool = True


def detects(state: StateColumn, window: Duration) -> str:
    """Return what is detected so far on the model of `state` (1,), and from when the rest; "" = all, or unknown.

    window: time between evaluations, at least.
    """
    own = state[0]
    if not own["known"]:
        return ""
    stages = _of_counts(own, window) if own["shares"]["lived"] > 0 else _of_values(own, window)
    looked = int(own["looked"])
    reached = [stage.what for stage in stages if stage.since <= looked]
    later = sorted((stage for stage in stages if stage.since > looked), key=lambda stage: stage.since)
    if not later:
        return ""
    return f"detects {_listed(reached)} so far; {', '.join(_later(later))}"


def _later(stages: list[Stage]) -> Iterable[str]:
    for since, same in groupby(stages, lambda stage: stage.since):
        group = list(same)
        about = "about " if any(stage.about for stage in group) else ""
        yield f"{_listed([stage.what for stage in group])} from {about}{rfc3339(since)} on"


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _of_values(own: np.void, window: Duration) -> list[Stage]:
    pace = max(window, int(own["days"]["time"] * DAY / max(own["days"]["weight"], 1)))
    value, about = _scored(own, VALUE_INDEX, VALUE_INDEX, int(own["looked"]), pace)
    first, born = _noise_known(own, pace), int(own["extremes"]["born"])
    moved, unsure = _scored(own, SHIFT_INDEX, SHIFT_INDEX, shift.evaluated_from(first, born), pace)
    return [
        Stage("sudden changes", 0),
        Stage("unusual values", value, about),
        Stage("shifts", shift.evaluated_from(moved, born), unsure),
        *_other_hours(own),
        _slow(own),
    ]


def _of_counts(own: np.void, window: Duration) -> list[Stage]:
    looked, left = int(own["looked"]), SETTLED - float(own["shares"]["lived"])
    settled = round((looked + left) / MINUTE) * MINUTE if left > 0 else 0
    burst, about = _scored(own, VALUE_INDEX, CHANGE_INDEX, looked, window)
    return [
        Stage("large rises", 0), Stage("bursts of errors", burst, about), Stage("small rises", settled), _slow(own)
    ]  # fmt: skip


def _slow(own: np.void) -> Stage:
    return Stage("slow changes", daily_means.known_from(own["days"], int(own["extremes"]["born"]), int(own["looked"])))


def _other_hours(own: np.void) -> list[Stage]:
    """Return the stage at which each hour of the day is compared with its own range; none on the first day."""
    extremes, looked = own["extremes"], int(own["looked"])
    born, days = int(extremes["born"]), int(extremes["days"][CHANGE_INDEX].max())
    begun = bool((extremes["some"][CHANGE_INDEX] & 2).any())
    third = born + ((looked - born) // DAY + 1 + (not begun)) * DAY
    return [Stage("changes to a level of another hour", third if days == 1 else looked, not begun)] if days else []


def _noise_known(own: np.void, pace: Duration) -> Timestamp:
    """Return from when a residual is whitened: a lone sample in an hour is compared with those of earlier days."""
    looked, missing = int(own["looked"]), FEW + 1 - int(own["habits"]["count"])
    if missing <= 0:
        return looked
    begin = max(looked, int(own["extremes"]["born"]) + DAY) if pace > HOUR // 2 else looked
    return begin + (missing - 1) * pace


def _scored(own: np.void, days_of: int, hours_of: int, first: Timestamp, pace: Duration) -> tuple[Timestamp, bool]:
    """Return from when a statistic has scores, which need the peaks of a day and of some hours, and if it may vary.

    days_of, hours_of: statistics whose days, and whose hours, must be known.
    first: when the statistic is evaluated next.
    """
    extremes, looked = own["extremes"], int(own["looked"])
    born, begun = int(extremes["born"]), bool((extremes["some"][days_of] & 2).any())
    days, hours = int(extremes["days"][days_of].max()), int(extremes["hours"][hours_of].max())
    missing = max(FEW_HOURS - hours, 0)
    enough = first + missing * max(HOUR, pace) if missing else 0
    end = born + ((looked if begun else first) - born + DAY) // DAY * DAY
    ready = max(looked if days else end, enough)
    return ready, ready == enough or not (days or begun)
