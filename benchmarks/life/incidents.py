"""Incidents that several signals of one model share, and that siblings share."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from benchmarks.life.grammar import Kind, Observable, draw
from benchmarks.life.signals import Incidents, Signals, generate, incidents

SIBLINGS = 5  # models next to each other that share their incidents


def companions(kind: Kind, seed: int) -> list[Kind]:
    """Return a kind for each observable, `kind` itself included, with the life, season and planted change of `kind`.

    Level, noise and sampling of the others are drawn with `seed`.
    """
    others = {other.observable: other for other in draw(seed, len(Observable))}
    shared = {"life": kind.life, "season": kind.season, "change": kind.change}
    return [
        kind if observable is kind.observable else replace(others[observable], number=kind.number, **shared)
        for observable in Observable
    ]


def generate_together(kinds: list[Kind], seed: int, models: int = 50, days: int = 28) -> list[Signals]:
    """Return the signals of each kind over the same models, with the same incidents at the same times.

    SIBLINGS models next to each other share their incidents. Raises ValueError unless all kinds have one life.
    """
    if len({kind.life for kind in kinds}) != 1:
        raise ValueError("signals of one model have one life")
    shared = incidents(kinds[0], np.random.default_rng([seed, kinds[0].number]), models, days)
    first = np.arange(models) // SIBLINGS * SIBLINGS
    windows = [
        replace(window, model=model) for model in range(models) for window in shared.windows
        if window.model == first[model]
    ]  # fmt: skip
    together = Incidents(shared.alive[:, first], shared.effect[:, first], windows)
    return [generate(kind, seed + 1 + at, models, days, together) for at, kind in enumerate(kinds)]
