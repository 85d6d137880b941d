"""AR(1) noise: coefficient, scale, outliers, and other sampling intervals."""

from __future__ import annotations

import numpy as np
import pytest

from bridge.domain.times import DAY, MINUTE
from bridge.strategies.stats.ar1_noise import FEW, LEAST, STEADIEST, Innovations, Noise

STEP = 5 * MINUTE


class Models:
    """Many models with AR(1) residuals of variance 1."""

    def __init__(self, count: int, phi: float, *, whiten: bool = True, step: int = STEP) -> None:
        self.draw, self.phi, self.step, self.slot = np.random.default_rng(35), phi, step, 0
        self.noise = Noise(whiten=whiten)
        self.state = {name: np.zeros(count) for name in Noise.names}
        self.residual = self.draw.standard_normal(count)

    def live(self, samples: int) -> list[Innovations]:
        found = []
        for _ in range(samples):
            fresh = np.sqrt(1 - self.phi**2) * self.draw.standard_normal(len(self.residual))
            self.residual = self.phi * self.residual + fresh
            found.append(self.see(self.residual))
        return found

    def see(self, residual: np.ndarray) -> Innovations:
        self.slot += self.step
        all_ = np.ones(len(residual), np.bool_)
        found = self.noise.compare(residual, self.slot, self.state, np.full(len(residual), 1e-6))
        self.noise.learn(found, residual, self.state, all_, 7 * DAY)
        self.noise.remember(found, residual, self.slot, self.state, all_)
        return found


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
def test_innovations_are_white_with_variance_one(phi: float) -> None:
    """In units of their width."""
    models = Models(100, phi)
    models.live(800)
    z = np.array([item.innovation / item.width for item in models.live(400)])
    assert 0.9 < float(z.std()) < 1.1
    assert abs(float((z[1:] * z[:-1]).mean())) < 0.06


def test_without_whitening_no_correlation_is_assumed() -> None:
    models = Models(20, 0.9, whiten=False)
    found = models.live(300)[-1]
    assert (found.phi == 0).all()
    assert (found.innovation == models.residual).all()


def test_the_coefficient_is_learnt_from_enough_samples_only() -> None:
    """And stays below that of a level that moves."""
    models = Models(50, 0.9)
    assert all((item.phi == 0).all() for item in models.live(LEAST))
    assert 0.85 < float(np.median(models.live(600)[-1].phi)) < STEADIEST
    moving = Models(5, 1.0)
    assert (moving.live(600)[-1].phi <= STEADIEST).all()


def test_an_outlier_hardly_changes_the_scale() -> None:
    """Once there are a few samples, it is clipped."""
    models = Models(50, 0.0)
    before = models.live(FEW * 30)[-1].spread
    models.see(np.full(50, 1000.0))
    after = models.see(models.residual).spread
    assert (after < 1.05 * before).all()


def test_after_a_gap_less_of_the_residual_remains() -> None:
    models = Models(50, 0.9)
    regular = models.live(600)[-1]
    models.slot += 9 * STEP
    late = models.see(models.residual)
    assert (late.carried < regular.carried).all()
    assert late.carried == pytest.approx(late.phi**10)
    assert (late.width > regular.width).all()


def test_another_interval_is_adopted_when_it_came_twice() -> None:
    """The coefficient is converted to it, and rounded up as for few samples."""
    models = Models(50, 0.9)
    models.live(800)
    models.step = 4 * STEP
    models.phi = 0.9**4
    models.live(2)
    assert (models.state["step"] == 4 * STEP).all()
    assert 0.9**4 - 0.05 < float(np.median(models.live(1)[0].phi)) < 0.88


def test_noise_can_be_widened() -> None:
    found = Models(3, 0.0).see(np.ones(3))
    wider = found.wider(np.array([1.0, 2.0, 3.0]))
    assert wider.width.tolist() == (found.width * [1, 2, 3]).tolist()
    assert wider.innovation is found.innovation
