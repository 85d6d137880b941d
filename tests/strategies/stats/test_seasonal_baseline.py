"""Seasonal baseline: innovations of correlated noise and of a wandering level."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from bridge.domain.times import MINUTE
from bridge.strategies.stats.seasonal_baseline import SeasonalBaseline

START = 1_700_006_400_000  # Wednesday, 15 November 2023, 00:00 UTC


def test_innovations_of_correlated_noise_are_independent_with_variance_one() -> None:
    """AR(0.8) around a daily wave: after some days, innovations in units of their standard deviation."""
    draw, models = np.random.default_rng(31), 200
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    noise, found = np.zeros(models), []
    for position in range(20 * 288):
        slot = START + position * 5 * MINUTE
        noise = 0.8 * noise + 0.6 * draw.standard_normal(models)
        wave = 5 * math.sin(2 * math.pi * position / 288)
        surprise = habits.step(100 + wave + noise, slot, np.full(models, 5 * MINUTE), own)
        if position >= 14 * 288:
            found.append(surprise.z)
    z = np.array(found)
    assert abs(float(z.std()) - 1) < 0.08
    assert abs(float(np.mean([stats.pearsonr(z[:-1, item], z[1:, item])[0] for item in range(50)]))) < 0.06


def test_a_level_that_wanders_under_noise_does_not_add_up_to_a_shift() -> None:
    """The variance of means of three hours is below twice that of independent noise; whitening alone leaves 3.5."""
    draw, models = np.random.default_rng(32), 100
    habits = SeasonalBaseline()
    own = np.zeros(models, list(habits.fields))
    level, found = np.zeros(models), []
    for position in range(21 * 288):
        level = 0.9995 * level + 0.005 * draw.standard_normal(models)
        values = level + 0.02 * draw.standard_normal(models)
        z = habits.step(values, START + position * 5 * MINUTE, np.full(models, 5 * MINUTE), own).z
        if position >= 14 * 288:
            found.append(z)
    means = np.array(found).reshape(-1, 36, models).sum(1) / math.sqrt(36)
    assert float(means.var()) < 2.0
