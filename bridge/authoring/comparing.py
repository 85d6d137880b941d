"""What was expected against what was there, and how the difference reads. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bridge.config.shape import Section
from bridge.domain.times import format_duration


@dataclass(frozen=True, slots=True)
class Failure:
    """An expectation that was not met. line: of the file. text: what was expected, and what was there."""

    line: int
    text: str


def difference(
    what: str, wanted: Sequence[Mapping[str, object]], got: Sequence[Mapping[str, object]], line: int
) -> Iterator[Failure]:
    """What is only on one of two sides, in whatever order."""
    missing, extra = _shown(wanted), _shown(got)
    for text in list(missing):
        if text in extra:
            missing.remove(text)
            extra.remove(text)
    if missing or extra:
        yield Failure(line, _told(what, missing, extra))


def matched(what: str, wanted: Sequence[Section], got: Sequence[Mapping[str, object]], line: int) -> Iterator[Failure]:
    """Every expectation takes the first that fits it and nobody took; nothing may be left on either side."""
    left, missing = list(got), []
    for item in wanted:
        given = {key: value for key, value in item.model_dump().items() if value is not None}
        if "triggered_at" in given:
            given["triggered_at"] = format_duration(given["triggered_at"])
        fitting = next((one for one in left if _fits(given, one)), None)
        if fitting is None:
            missing.append(given)
        else:
            left.remove(fitting)
    if missing or left:
        yield Failure(line, _told(what, _shown(missing), _shown(left)))


def _fits(given: Mapping[str, object], one: Mapping[str, object]) -> bool:
    return all(
        str(value) in str(one.get(key, "")) if key == "reason" else value == one.get(key)
        for key, value in given.items()
    )


def _shown(items: Iterable[Mapping[str, object]]) -> list[str]:
    return sorted(json.dumps(item, sort_keys=True, ensure_ascii=False) for item in items)


def _told(what: str, missing: Sequence[str], extra: Sequence[str]) -> str:
    lines = [f"{what}:"]
    lines += [f"    expected, and not there: {text}" for text in missing]
    lines += [f"    there, and not expected: {text}" for text in extra]
    return "\n".join(lines)
