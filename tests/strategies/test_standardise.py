"""What is usual is learnt, and what detectors see is noise of mean 0 and variance 1, whatever the signal was."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

from bridge.domain.batch import EventKind
from bridge.domain.times import DAY, MINUTE
from bridge.strategies.standardise import StandardiseConfig, Standardised, Standardiser

START = 1_700_006_400_000  # a Wednesday, 00:00 UTC


class Models:
    """Some models whose latency is exp(level + daily wave + AR(1) noise), looked at in every step."""

    def __init__(
        self, count: int, seed: int, *, phi: float = 0.0, wave: float = 0.0, step: int = 5 * MINUTE, **config: Any
    ) -> None:
        self.standardiser = Standardiser(StandardiseConfig(**config))
        self.state = np.zeros(count, self.standardiser.dtype)
        self.draw, self.phi, self.wave, self.step = np.random.default_rng(seed), phi, wave, step
        self.slot, self.noise = START, np.zeros(count)

    def sample(self) -> np.ndarray:
        self.slot += self.step
        fresh = np.sqrt(1 - self.phi**2) * self.draw.standard_normal(len(self.noise))
        self.noise = self.phi * self.noise + fresh
        return np.exp(5 + 0.1 * self.noise + self.wave * np.sin(2 * np.pi * self.slot / DAY))

    def look(self, values: np.ndarray, *, freeze: bool = False) -> Standardised:
        frozen = np.full(len(values), freeze)
        return self.standardiser.step(values, self.slot, self.state, frozen, EventKind.LATENCY)

    def live(self, duration: int) -> list[Standardised]:
        return [self.look(self.sample()) for _ in range(duration // self.step)]


@pytest.mark.parametrize("phi", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("reference", ["version", "sliding", "seasonal"])
def test_standardised_noise_is_white_and_of_variance_one(reference: str, phi: float) -> None:
    """However correlated the samples are, and however the day goes."""
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    models = Models(30, seed, phi=phi, wave=0.3 if reference == "seasonal" else 0.0, reference=reference)
    models.live(16 * DAY if reference == "seasonal" else 4 * DAY)
    z = np.array([found.z for found in models.live(3 * DAY)])
    assert abs(float(z.mean())) < 0.05
    assert 0.93 < float(z.std()) < 1.07
    assert abs(float((z[1:] * z[:-1]).mean())) < 0.05
