"""Streams of labelled requests with concept changes, and errors of models trained at any time on later batches.

A stream is a generator (hyperplane, sea, clusters) with a kind of drift, a classifier of scikit-learn, and a seed. Its
requests come in batches; a model is trained on one batch and serves from the next one on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

Floats = NDArray[np.float64]
BATCHES, EACH = 140, 1000
DRIFTS = ("none", "abrupt", "gradual", "incremental", "recurring")
GENERATORS = ("hyperplane", "sea", "clusters")
CLASSIFIERS = {
    "logistic": lambda: LogisticRegression(max_iter=200),
    "bayes": GaussianNB,
    "tree": lambda: DecisionTreeClassifier(max_depth=6, random_state=0),
}


@dataclass(frozen=True)
class Stream:
    """Stream by name and seed."""

    drift: str
    generator: str
    classifier: str
    seed: int

    @property
    def name(self) -> str:
        """Short unique name."""
        return f"{self.drift}/{self.generator}/{self.classifier}/{self.seed}"


@dataclass(frozen=True)
class Served:
    """Errors of a stream. wrong: (trained at, served at, request) the model is wrong about the request."""

    stream: Stream
    wrong: NDArray[np.bool_]

    @property
    def errors(self) -> Floats:
        """Error rates (trained at, served at)."""
        return self.wrong.sum(axis=2).astype(np.float64)


def streams(first_seed: int, seeds: int) -> Iterator[Stream]:
    """Return every kind of drift in every generator, with classifiers in turn."""
    names = list(CLASSIFIERS)
    for number, (drift, generator, seed) in enumerate(product(DRIFTS, GENERATORS, range(seeds))):
        turn = (number // seeds + seed) % len(names)
        yield Stream(drift, generator, names[turn], first_seed + seed)


def serve(stream: Stream) -> Served:
    """Draw the stream, train a model on every batch, and let each serve all later batches."""
    kind = (DRIFTS.index(stream.drift), GENERATORS.index(stream.generator))
    rng = np.random.default_rng([stream.seed, *kind])
    x, y = _GENERATE[stream.generator](rng, _positions(rng, stream.drift))
    x, y = x.reshape(BATCHES, EACH, -1), y.reshape(BATCHES, EACH)
    wrong = np.zeros((BATCHES, BATCHES, EACH), np.bool_)
    for trained in range(BATCHES - 1):
        model = CLASSIFIERS[stream.classifier]().fit(x[trained], y[trained])
        later = x[trained + 1 :].reshape(-1, x.shape[2])
        wrong[trained, trained + 1 :] = (model.predict(later) != y[trained + 1 :].ravel()).reshape(-1, EACH)
    return Served(stream, wrong)


# ---------------------------------------------------------------- which concept, when


def _positions(rng: np.random.Generator, drift: str) -> Floats:
    """Return the concept (requests,) of each request: an integer, or in between while a concept moves."""
    u = np.arange(BATCHES * EACH) / EACH
    if drift == "none":
        return np.zeros(len(u))
    if drift == "recurring":
        period = rng.uniform(12, 30)
        return np.floor((u + rng.uniform(0, period)) / period) % 2
    if drift == "incremental":
        return u / rng.uniform(25, 60)
    at = np.cumsum(rng.uniform(12, 50, 12))
    if drift == "abrupt":
        return np.searchsorted(at, u).astype(np.float64)
    width = rng.uniform(8, 20)  # gradual: old and new requests are mixed, fewer and fewer old ones
    past = 1 / (1 + np.exp(-4 * (u[:, None] - at) / width))
    return (rng.random(len(u))[:, None] < past).sum(axis=1).astype(np.float64)


def _between(concepts: Floats, position: Floats) -> Floats:
    """Return parameters (requests, ...) of each request's concept, interpolated between two concepts."""
    below = np.minimum(position.astype(np.int64), len(concepts) - 1)
    above = np.minimum(below + 1, len(concepts) - 1)
    share = (position - np.floor(position)).reshape(-1, *[1] * (concepts.ndim - 1))
    return np.asarray((1 - share) * concepts[below] + share * concepts[above])


# ---------------------------------------------------------------- generators


def _flipped(rng: np.random.Generator, y: NDArray[np.bool_], noise: float) -> NDArray[np.int64]:
    return (y ^ (rng.random(len(y)) < noise)).astype(np.int64)


def _hyperplane(rng: np.random.Generator, position: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Draw two classes separated by a rotating plane; 5 % of the labels are wrong."""
    plane = rng.normal(size=6)
    planes = [plane / np.linalg.norm(plane)]
    for _ in range(14):
        aside, turn = rng.normal(size=6), rng.uniform(np.pi / 8, np.pi / 2)
        aside -= (aside @ planes[-1]) * planes[-1]
        planes.append(np.cos(turn) * planes[-1] + np.sin(turn) * aside / np.linalg.norm(aside))
    x = rng.normal(size=(len(position), 6))
    return x, _flipped(rng, (x * _between(np.array(planes), position)).sum(axis=1) > 0, 0.05)


def _sea(rng: np.random.Generator, position: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Draw three numbers, two of which are summed and compared with a moving limit; 10 % of the labels are wrong."""
    limits = rng.uniform(5, 15, 15)
    x = rng.uniform(0, 10, size=(len(position), 3))
    return x, _flipped(rng, x[:, 0] + x[:, 1] <= _between(limits, position), 0.1)


def _clusters(rng: np.random.Generator, position: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """Draw six clusters of two classes, two of which move at every change; 2 % of the labels are wrong."""
    centres = [rng.uniform(-3, 3, size=(6, 4))]
    for _ in range(14):
        moved = centres[-1].copy()
        moved[rng.permutation(6)[:2]] = rng.uniform(-3, 3, size=(2, 4))
        centres.append(moved)
    which = rng.integers(0, 6, len(position))
    now = _between(np.array(centres), position)[np.arange(len(position)), which]
    return now + rng.normal(0, 0.8, size=now.shape), _flipped(rng, which % 2 == 0, 0.02)


_GENERATE: dict[str, Callable[[np.random.Generator, Floats], tuple[Floats, NDArray[np.int64]]]] = {
    "hyperplane": _hyperplane,
    "sea": _sea,
    "clusters": _clusters,
}
