"""auto: which scores need no confirmation, and which are no evidence."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bridge.strategies.auto import UNEXPECTED, AutoStrategy
from bridge.strategies.auto_verdicts import CHANGE_INDEX, RESIDUAL_INDEX, SHIFT_INDEX, VALUE_INDEX
from tests.strategies.test_auto import Story


def test_a_peak_just_below_the_bound_needs_a_second_one_within_an_hour() -> None:
    """Noise has lone peaks; an incident lasts."""
    values, start = np.random.default_rng(43).normal(10, 1, 8 * 288), 7 * 288
    for later, code in ((6, "BREACHED"), (14, "OK")):
        story = Story(side="up")
        story.run(values[:start])
        codes = []
        for position in range(start, start + later + 1):
            assert story.verdicts is not None
            band = story.verdicts.band()
            assert band is not None
            peak = position in {start, start + later}
            codes += story.see(value=float(band[1][0]) - 0.4 if peak else values[position])
        assert codes == ["OK"] * later + [code]


def test_a_value_is_no_evidence_while_it_is_expected() -> None:
    """Its residual must have a score, too; one that is unknown hides nothing."""
    scores = np.full((3, 4, 2), 5.0)
    scores[0, RESIDUAL_INDEX], scores[1, RESIDUAL_INDEX], scores[2, RESIDUAL_INDEX] = UNEXPECTED - 0.1, 1.1, np.nan
    yes = np.ones((3, 2), np.bool_)
    AutoStrategy._mask(scores, yes, yes, np.full((3, 4, 2), 9, np.uint16))
    assert scores[:, VALUE_INDEX].tolist() == [[0.0, 0.0], [5.0, 5.0], [5.0, 5.0]]
    assert (scores[:, [CHANGE_INDEX, SHIFT_INDEX]] == 5.0).all()


def test_a_residual_that_returns_to_a_usual_level_is_no_evidence() -> None:
    """As with a change: inside the range of the hour, its score counts as 0."""
    scores = np.full((1, 4, 2), 5.0)
    AutoStrategy._mask(scores, np.array([[True, False]]), np.ones((1, 2), np.bool_), np.ones((1, 4, 2), np.uint16))
    assert scores[0, RESIDUAL_INDEX].tolist() == [5.0, 0.0]
    assert scores[0, CHANGE_INDEX].tolist() == [5.0, 0.0]


def test_a_daily_wave_that_grows_slowly_is_expected() -> None:
    """Each day higher than all before, by a hundredth: a level that adapts within hours expects it."""
    days = np.arange(14 * 288) / 288
    draw = np.random.default_rng(111)
    values = 10 + days / 10 + 3 * np.sin(2 * np.pi * days) + draw.normal(0, 0.1, len(days))
    assert len(Story(side="up").run(values)) <= 1


@pytest.mark.parametrize(("freedom", "most"), [(200, 26), (3, 130)])
def test_noise_seldom_raises_alarms(freedom: int, most: int) -> None:
    """150 models with Student's t, for ten days: 17 alarms are promised, 26 would be by chance.

    With three degrees of freedom they are more while few days are known: about 70 to 90.
    """
    draw = np.random.default_rng(112)
    story, begins, before = Story(models=150), 0, np.zeros(150, np.bool_)
    for _ in range(10 * 288):
        now = np.array(story.see(value=draw.standard_t(freedom, 150))) == "BREACHED"
        begins += int((now & ~before).sum())
        before = now
    print(f"{begins} alarms")
    assert begins <= most


def test_noise_that_is_correlated_over_a_day_does_not_confirm_itself() -> None:
    """20 models for 42 days, 9.3 quarters: at most three alarms in each. Without higher limits there are 58."""
    draw, phi = np.random.default_rng(113), math.exp(-1 / 288)
    story, begins, before, noise = Story(models=20), 0, np.zeros(20, np.bool_), np.zeros(20)
    for _ in range(42 * 288):
        noise = phi * noise + math.sqrt(1 - phi * phi) * draw.standard_normal(20)
        now = np.array(story.see(value=10 + noise)) == "BREACHED"
        begins += int((now & ~before).sum())
        before = now
    print(f"{begins} alarms")
    assert begins <= 28
