"""Noise and command-line options of benchmarks that draw their signals."""

from __future__ import annotations

import argparse
import math
import secrets

import numpy as np
from numpy.typing import NDArray


def ar1(rng: np.random.Generator, shape: tuple[int, int], phi: float) -> NDArray[np.float64]:
    """Return AR(1) noise (n, models) of unit variance."""
    white = rng.standard_normal(shape)
    for at in range(1, len(white)):
        white[at] = phi * white[at - 1] + math.sqrt(1 - phi**2) * white[at]
    return white


def models_and_seed(description: str | None) -> tuple[int, int]:
    """Return the options --models and --seed; print the seed, which is drawn if it is not given."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", type=int, default=40)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = secrets.randbelow(10**6) if options.seed is None else options.seed
    print(f"seed {seed}")
    return options.models, seed
