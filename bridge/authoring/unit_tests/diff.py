"""Differences between expected and actual results, as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.domain.times import format_duration
from bridge.files.validation import Section


@dataclass(frozen=True, slots=True)
class Failure:
    """Unmet expectation. line: in the test file. text: the expected and the actual result."""

    line: int
    text: str


def difference(
    what: str, wanted: Sequence[Mapping[str, object]], got: Sequence[Mapping[str, object]], line: int
) -> Iterator[Failure]:
    """Yield what is only on one of two sides, in whatever order."""
    missing, extra = _shown(wanted), _shown(got)
    for text in list(missing):
        if text in extra:
            missing.remove(text)
            extra.remove(text)
    if missing or extra:
        yield Failure(line, _told(what, missing, extra))


def matched(what: str, wanted: Sequence[Section], got: Sequence[Mapping[str, object]], line: int) -> Iterator[Failure]:
    """Yield a failure unless every expectation pairs with one result that fits it, and none is left over."""
    given = [_given(item) for item in wanted]
    taken = _pairs([[index for index, one in enumerate(got) if _fits(item, one)] for item in given])
    missing = [item for index, item in enumerate(given) if index not in taken.values()]
    left = [one for index, one in enumerate(got) if index not in taken]
    if missing or left:
        yield Failure(line, _told(what, _shown(missing), _shown(left)))


def _given(item: Section) -> dict[str, object]:
    given = {key: value for key, value in item.model_dump().items() if value is not None}
    if "triggered_at" in given:
        given["triggered_at"] = format_duration(given["triggered_at"])
    return given


def _pairs(fitting: Sequence[Sequence[int]]) -> dict[int, int]:
    """Return as many pairs as possible, result -> expectation (augmenting paths)."""
    taken: dict[int, int] = {}

    def find(expectation: int, tried: set[int]) -> bool:
        for index in fitting[expectation]:
            if index not in tried:
                tried.add(index)
                if index not in taken or find(taken[index], tried):
                    taken[index] = expectation
                    return True
        return False

    for expectation in range(len(fitting)):
        find(expectation, set())
    return taken


def _fits(given: Mapping[str, object], one: Mapping[str, object]) -> bool:
    return all(_agrees(key, value, one.get(key)) for key, value in given.items())


def _agrees(key: str, wanted: object, got: object) -> bool:
    if key == "reason":
        return str(wanted) in str(got)
    if isinstance(wanted, Mapping) and isinstance(got, Mapping):
        return wanted.items() <= got.items()
    return wanted == got


def _shown(items: Iterable[Mapping[str, object]]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True, ensure_ascii=False) for item in items)


def _told(what: str, missing: Sequence[str], extra: Sequence[str]) -> str:
    lines = [f"{what}:"]
    lines += [f"    expected, and not there: {text}" for text in missing]
    lines += [f"    there, and not expected: {text}" for text in extra]
    return "\n".join(lines)
