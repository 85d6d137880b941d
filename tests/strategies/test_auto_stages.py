"""What auto detects on a model so far, and from when it detects the rest, against what it really evaluates."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp, rfc3339
from bridge.domain.verdict import Verdicts
from bridge.strategies.auto_verdicts import CHANGE_INDEX, SHIFT_INDEX, VALUE_INDEX
from bridge.strategies.stats.block_maxima import FEW_HOURS
from tests.strategies.test_auto import START, Story, course

FRIDAY = START + 2 * DAY
ANOTHER = "changes to a level of another hour"


def detects(story: Story) -> str:
    assert story.state is not None
    return story.strategy.detects(story.state)


def observe(age: Duration, first: Timestamp = START, step: Duration = 5 * MINUTE) -> Story:
    """Return a run over the first `age` ms of a model."""
    story = Story(EventKind.LATENCY, step=step)
    story.slot = first - step
    story.run(course(age / DAY, 51, step=step))
    return story


def on(at: Timestamp) -> str:
    return f"{rfc3339(at)} on"


def test_before_the_first_verdict_nothing_is_stated() -> None:
    """The text about the first verdict does."""
    assert detects(Story(EventKind.LATENCY)) == ""
    assert detects(observe(3 * HOUR)) == ""


def test_the_first_version_of_a_pipeline_detects_more_with_its_age() -> None:
    """At 10 hours, at 30 hours, at two days, before and after seven whole days are known, and at 9 days."""
    story = observe(10 * HOUR)
    whole = START + 7 * DAY + 18 * HOUR
    slow = f"slow changes from about {on(whole)}"
    told, hours = detects(story), f"{ANOTHER} from {on(START + 2 * DAY)}"
    assert told == f"detects sudden changes so far; unusual values and shifts from {on(START + DAY)}, {slow}"
    values, every = iter(course(9, 52)), f"sudden changes, unusual values, shifts and {ANOTHER}"
    for end, expected in (
        (START + 30 * HOUR, f"detects sudden changes, unusual values and shifts so far; {hours}, {slow}"),
        (START + 2 * DAY - story.step, f"detects sudden changes, unusual values and shifts so far; {hours}, {slow}"),
        (START + 2 * DAY, f"detects {every} so far; {slow}"),
        (whole - story.step, f"detects {every} so far; {slow}"),
        (whole + story.step, ""),
        (START + 9 * DAY, ""),
    ):
        while story.slot < end:
            story.see(value=next(values))
        assert detects(story) == expected


def test_a_later_version_waits_for_its_own_values_and_one_whole_day() -> None:
    """It inherits the rest."""
    story = observe(9 * DAY)
    assert story.state is not None
    story.state = story.strategy.successor(story.state)
    assert detects(story) == ""
    born = story.slot + story.step
    for value in course(10 / 24, 52):
        story.see(value=value)
    expected = (
        f"detects sudden changes, shifts and {ANOTHER} so far; unusual values from {on(born + DAY)},"
        f" slow changes from about {on(born + DAY + 18 * HOUR)}"
    )
    # Born on a Friday at 00:00; shifts are not evaluated from noon on.
    assert (story.slot - FRIDAY) % (7 * DAY) < 12 * HOUR
    assert detects(story) == expected


def test_a_pipeline_with_siblings_detects_shifts_at_once() -> None:
    """And slow changes as late as without them."""
    story = Story(EventKind.LATENCY, models=3)
    waves = np.stack([course(8, seed) for seed in (42, 43, 44)], axis=1)
    for row in waves:
        story.see(value=row)
    assert story.state is not None
    new = Story(EventKind.LATENCY)
    new.state, new.slot = story.strategy.newcomer(story.state), story.slot
    born = new.slot + new.step
    for value in course(0.1, 46):
        new.see(value=value)
    assert detects(new) == (
        f"detects sudden changes, shifts and {ANOTHER} so far; unusual values from {on(born + DAY)},"
        f" slow changes from about {on(born + 7 * DAY + 18 * HOUR)}"
    )


def first_evaluated(story: Story, statistic: int) -> Timestamp:
    """Return the slot from which a statistic has scores, with a value each step."""
    extremes = story.state["extremes"]  # type: ignore[index]
    while extremes["days"][0, statistic, 0] == 0 or extremes["hours"][0, statistic, 0] < FEW_HOURS:
        story.see(value=0.2 + 0.01 * (story.slot // story.step % 7))
    return story.slot


def test_shifts_wait_for_the_end_of_the_first_weekend() -> None:
    """From Friday noon to Monday noon they are not evaluated in the first week of a version."""
    monday = FRIDAY + 3 * DAY + 12 * HOUR
    assert f"shifts from {on(monday)}" in detects(observe(60 * HOUR + 5 * MINUTE))
    story = observe(10 * HOUR, first=FRIDAY + 18 * HOUR)
    told = detects(story)
    shifts = first_evaluated(story, SHIFT_INDEX)
    assert monday < shifts == monday + 8 * HOUR
    assert f"unusual values from {on(FRIDAY + 42 * HOUR)}, shifts from about {on(shifts)}" in told


@pytest.mark.parametrize("step", [5 * MINUTE, 20 * MINUTE, HOUR])
def test_the_times_are_those_at_which_statistics_get_scores(step: Duration) -> None:
    """With hourly samples, the baseline is known on the second day, and its noise on the third."""
    tuesday = START + 6 * DAY
    story = observe(10 * HOUR, first=tuesday, step=step)
    told = detects(story)
    value = first_evaluated(story, VALUE_INDEX)
    shift = first_evaluated(story, SHIFT_INDEX)
    assert tuesday + DAY <= value <= tuesday + DAY + step
    if step < HOUR:
        about = "" if step == 5 * MINUTE else "about "
        assert shift - value <= step
        assert f"unusual values and shifts from {about}{on(tuesday + DAY)}" in told
    else:
        assert shift - step <= tuesday + 3 * DAY <= shift
        assert f"unusual values from {on(tuesday + DAY)}, shifts from about {on(tuesday + 3 * DAY)}" in told


@pytest.mark.parametrize("step", [5 * MINUTE, 20 * MINUTE, HOUR])
def test_on_the_second_day_a_level_of_another_hour_is_not_new_yet(step: Duration) -> None:
    """The stated time is that of the first sample with two days of peaks."""
    tuesday = START + 6 * DAY
    story = observe(30 * HOUR, first=tuesday, step=step)
    told = detects(story)
    while story.state["extremes"]["days"][0, CHANGE_INDEX, 0] < 2:  # type: ignore[index]
        story.see(value=0.2)
    assert story.slot == tuesday + 2 * DAY
    assert f"{ANOTHER} from {on(story.slot)}" in told


def see_counts(story: Story, age: Duration, seed: int = 53) -> Verdicts:
    """Add error rates of 2 % for `age` ms."""
    draw = np.random.default_rng(seed)
    for _ in range(age // story.step):
        story.see(errors=draw.binomial(500, 0.02), total=500)
    assert story.verdicts is not None
    return story.verdicts


def test_counts_have_other_stages() -> None:
    """Large rises after four hours, bursts from the second day on, small rises after three days, slow ones last."""
    story = Story(EventKind.INFERENCE_ERROR)
    see_counts(story, 3 * HOUR)
    assert detects(story) == ""
    see_counts(story, 7 * HOUR)
    small, slow = on(START + 3 * DAY - story.step), f"slow changes from about {on(START + 7 * DAY + 18 * HOUR)}"
    assert detects(story) == (
        f"detects large rises so far; bursts of errors from {on(START + DAY)}, small rises from about {small}, {slow}"
    )
    see_counts(story, 20 * HOUR)
    assert detects(story) == f"detects large rises and bursts of errors so far; small rises from about {small}, {slow}"
    see_counts(story, 2 * DAY)
    assert detects(story) == f"detects large rises, bursts of errors and small rises so far; {slow}"
    see_counts(story, 6 * DAY)
    assert detects(story) == ""


def test_a_later_version_of_counts_waits_for_its_own_peaks_and_one_whole_day() -> None:
    story = Story(EventKind.INFERENCE_ERROR)
    see_counts(story, 9 * DAY)
    assert story.state is not None
    story.state = story.strategy.successor(story.state)
    born = story.slot + story.step
    see_counts(story, 10 * HOUR, 54)
    assert detects(story) == (
        f"detects large rises and small rises so far; bursts of errors from {on(born + DAY)},"
        f" slow changes from about {on(born + DAY + 18 * HOUR)}"
    )
