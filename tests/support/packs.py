"""The shipped rule packs for tests: their signals, and series as their servers show them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from bridge.authoring.unit_tests.series_notation import labels, values
from bridge.config.load import load_rules
from bridge.domain.rule import Group, SignalQuery
from tests.support.remote_write import Series

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "rules" / "packs"
FILES = {file.stem: file for file in sorted(FOLDER.glob("*.yml"))}
SERIES: dict[str, list[tuple[str, str]]] = yaml.safe_load(
    (ROOT / "tests" / "data" / "packs" / "series.yml").read_text()
)


def groups(pack: str) -> tuple[Group, ...]:
    """The groups of a pack, read by the loader."""
    return load_rules([FILES[pack]], offset=0)


def queries(pack: str) -> Iterator[tuple[str, SignalQuery]]:
    """`group.signal` and the query of every signal of a pack."""
    for group in groups(pack):
        for name, query in group.queries.items():
            yield f"{group.name}.{name}", query


def written(pack: str, now: int, extra: dict[str, str] | None = None) -> list[Series]:
    """The series of a pack for remote write: a sample a minute, the last one at `now` (ms)."""
    found = []
    for text, notation in SERIES[pack]:
        numbers = [number for number in values(notation) if number is not None]
        begins = now - 60_000 * (len(numbers) - 1)
        samples = [(begins + 60_000 * index, number) for index, number in enumerate(numbers)]
        found.append(({**labels(text), **(extra or {})}, samples))
    return found  # type: ignore[return-value]
