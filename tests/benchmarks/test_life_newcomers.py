"""First days of new pipelines: lives, planted changes, differences between siblings, and three ways to start."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.life.grammar import Change, Life, Moment, Noise, Observable, Sampling, Season, Shape, draw
from benchmarks.life.measure import pooled
from benchmarks.life.newcomers import BORN, DAYS, LIFE, NEW, SIBLINGS, SPREAD, STARTS, nursery, run
from benchmarks.life.signals import PER_DAY, SLOT

PLAIN = replace(
    draw(11, 1)[0], observable=Observable.VALUE, season=Season(), noise=Noise.GAUSSIAN, sampling=Sampling(),
    life=Life.LONG, change=Change(Shape.STEP, Moment.LATER, 1.5, 12.0), spread=0.1,
)  # fmt: skip


def test_new_pipelines_live_for_two_days_and_change_on_the_first() -> None:
    """Siblings live for the whole time, without a change."""
    part = nursery(PLAIN, 3, 0.0)
    present = ~np.isnan(part.values)  # type: ignore[arg-type]
    assert present.shape == (DAYS * PER_DAY // SLOT, SIBLINGS + NEW)
    assert present[:, :SIBLINGS].all()
    born = present[:, SIBLINGS:].argmax(axis=0) * SLOT
    assert ((born >= BORN * PER_DAY - SLOT) & (born <= (BORN + SPREAD) * PER_DAY)).all()
    assert np.allclose(present[:, SIBLINGS:].sum(axis=0) * SLOT, LIFE * PER_DAY, atol=2 * SLOT)
    assert [window.model for window in part.windows] == list(range(SIBLINGS, SIBLINGS + NEW))
    for window, begin in zip(part.windows, born, strict=True):
        assert begin <= window.start <= begin + PER_DAY
        assert window.end - window.start == 6 * 60


def test_siblings_differ_in_their_noise_if_they_are_to() -> None:
    quiet = replace(PLAIN, change=replace(PLAIN.change, shape=Shape.NONE))
    same, apart = (nursery(quiet, 3, size).values[:, :SIBLINGS].std(axis=0) for size in (0.0, 0.5))  # type: ignore[index]
    assert same.max() / same.min() < 1.1
    assert apart.max() / apart.min() > 1.5


def test_siblings_help_to_detect_changes_on_the_first_day() -> None:
    results = run([nursery(PLAIN, 3, 0.0)], "normal")
    assert list(results) == list(STARTS)
    found = {name: pooled(measured) for name, measured in results.items()}
    assert {measured.planted for measured in found.values()} == {NEW}
    assert found["siblings"].detected > found["nothing"].detected
    assert found["siblings"].false <= 1
