"""auto on proportions: saturated scores, skewed accuracies, and how their scale is chosen."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm

from bridge.domain.batch import EventKind
from bridge.strategies.auto_verdicts import AutoVerdicts
from bridge.strategies.stats.scale import LOGIT, UNCHANGED
from tests.strategies.test_auto import Story

EXAMPLE: dict[str, Any] = {}
DAY = 288  # samples
Floats = NDArray[np.float64]


def noise(days: float, models: int, phi: float, seed: int) -> Floats:
    """Return AR(1) noise (n, models) of unit variance."""
    draw = np.random.default_rng(seed).standard_normal((int(days * DAY), models))
    for at in range(1, len(draw)):
        draw[at] = phi * draw[at - 1] + np.sqrt(1 - phi**2) * draw[at]
    return draw


def alarms(story: Story, values: Floats) -> NDArray[np.bool_]:
    """Return where alarms begin (n, models)."""
    on = np.array([[code == "BREACHED" for code in story.see(value=row)] for row in values])
    begins = on.copy()
    begins[1:] &= ~on[:-1]
    return begins


@pytest.mark.parametrize("phi", [0.0, 0.5])
def test_a_drift_score_that_stays_at_its_maximum_is_found(phi: float) -> None:
    """1 minus a p-value is uniform without drift, and often close to 1; with drift, it is 1, again and again."""
    values = norm.cdf(noise(15, 10, phi, 211))
    values[14 * DAY : 14 * DAY + 36] = 1.0  # three hours
    found = alarms(Story(EventKind.DRIFT, models=10), values)
    assert found[: 14 * DAY].sum() <= 2
    assert found[14 * DAY : 14 * DAY + 36].any(axis=0).all()


def test_an_accuracy_near_1_raises_no_more_alarms_than_promised() -> None:
    """Its noise is skewed: it can fall far, but hardly rise. A fall by three standard deviations is found."""
    logits = 3 + noise(15, 20, 0.5, 212)
    logits[14 * DAY : 14 * DAY + 36] -= 3
    found = alarms(Story(models=20, side="down"), 1 / (1 + np.exp(-logits)))
    assert found[: 14 * DAY].sum() <= 3  # 3.1 are promised in as many days; 7 without the logit
    assert found[14 * DAY : 14 * DAY + 36].any(axis=0).all()


def test_a_score_that_is_usually_0_is_not_evaluated_again_while_it_stays_0() -> None:
    """Its repeated zeros may be old results."""
    story = Story(EventKind.DRIFT)
    values = np.where(np.arange(DAY) % 20 == 0, 0.3, 0.0)
    story.run(values)
    assert story.state is not None
    assert story.state["habits"]["count"][0] < DAY / 5


@pytest.mark.parametrize(
    ("first", "then", "scale"),
    [
        ([0.6, 0.7], 1.0, LOGIT),
        ([1.0, 1.0], 0.7, LOGIT),
        ([1.0, 1.0], 1.0, 0),
        ([0.6, 0.7], 0.4, UNCHANGED),
        ([0.4, 0.6], 0.7, UNCHANGED),
        ([0.0, 1.0], 0.7, UNCHANGED),
        ([0.6] * 30, 0.4, LOGIT),
        ([0.6] * 30, 1.2, UNCHANGED),
        ([0.6] * 30, -0.2, UNCHANGED),
    ],
)
def test_the_scale_of_a_custom_signal_is_chosen_by_its_first_values(
    first: list[float], then: float, scale: int
) -> None:
    story = Story()
    for value in [*(value + 1e-6 * at * (0 < value < 1) for at, value in enumerate(first)), then]:
        story.see(value=value)
    assert story.state is not None
    assert story.state["scale"].tolist() == [scale]


def test_a_drift_score_may_stay_far_below_1() -> None:
    story = Story(EventKind.DRIFT)
    for value in (0.0, 0.1, 0.0):
        story.see(value=value)
    assert story.state is not None
    assert story.state["scale"].tolist() == [LOGIT]


@pytest.mark.parametrize("event", [EventKind.LATENCY, EventKind.INFERENCE_ERROR])
def test_latencies_and_error_rates_have_scales_of_their_own(event: EventKind) -> None:
    story = Story(event)
    for value in (0.4, 0.5, 0.5):
        story.see(value=value)
    assert story.state is not None
    assert story.state["scale"].tolist() == [0]


def test_a_signal_that_leaves_the_range_on_its_first_day_starts_anew() -> None:
    """After the first day, its scale stays as it is."""
    values = 0.7 + 0.05 * np.random.default_rng(213).standard_normal(3 * DAY)
    story = Story()
    assert [story.see(value=value)[0] for value in values[:144]][-1] == "OK"
    codes = [story.see(value=3 * value)[0] for value in values[144 : 144 + 109]]
    assert codes[0] == "WARMING_UP"
    assert codes[-1] == "OK"
    late = Story()
    late.run(values[: 2 * DAY])
    assert late.see(value=2.5) == ["BREACHED"]
    assert late.state is not None
    assert late.state["scale"].tolist() == [LOGIT]


@pytest.mark.parametrize("bound", [0.0, 1.0])
def test_a_distance_that_leaves_its_first_value_on_its_first_day_is_found(bound: float) -> None:
    """Values of 0 and 1 show no scale, so nothing starts anew when a later one shows that there is none."""
    story = Story(EventKind.DRIFT)
    assert [story.see(value=bound)[0] for _ in range(144)][-1] == "OK"
    assert story.see(value=3.0) == ["BREACHED"]
    assert story.state is not None
    assert story.state["scale"].tolist() == [UNCHANGED]


def test_a_new_version_and_a_new_pipeline_keep_the_scale() -> None:
    story = Story(EventKind.DRIFT, models=4)
    for row in 1 / (1 + np.exp(-noise(8, 4, 0.0, 214))):
        story.see(value=row)
    assert story.state is not None
    assert story.strategy.successor(story.state)["scale"].tolist() == [LOGIT] * 4
    assert story.strategy.newcomer(story.state)["scale"].tolist() == [LOGIT]


def test_a_bound_that_no_proportion_can_exceed_is_unknown() -> None:
    """The noise of a p-value reaches 0 and 1."""
    story = Story(EventKind.DRIFT, models=2, side="both")
    values = norm.cdf(noise(4, 2, 0.0, 215))
    values[:, 1] = 0.4 + 0.2 * values[:, 1]  # far from both
    for row in values:
        story.see(value=row)
    assert isinstance(story.verdicts, AutoVerdicts)
    low, high = story.verdicts.band()
    assert np.isnan(low[0])
    assert np.isnan(high[0])
    assert 0 < low[1] < 0.4
    assert 0.6 < high[1] < 1
