"""Size limits of a request, in one module; the coordinator's limits are derived from them."""

from __future__ import annotations

import json
from collections.abc import Mapping

LARGEST_REQUEST = 60_000  # bytes of a request as JSON; the environment of a command holds twice as much
LONGEST_LINK = 4_096  # bytes of the link that the bridge adds to it
LONGEST_PART = 1_024  # characters of a model's project, pipeline or version
LONGEST_NAME = 256  # characters of the name of a rule or group
LARGEST_LABELS = 2_048  # bytes of the labels of a rule, and of those of a group
MOST_LABELS = 8 * LARGEST_LABELS  # bytes of the labels of one alert or request as JSON
LONGEST_TEXT = 4_000  # characters of a rendered annotation


def cut(text: str, most: int) -> str:
    """Return `text`, truncated to `most` characters with a mark if it is longer."""
    return text if len(text) <= most else f"{text[:most]}… {mark(most, len(text), 'characters')}"


def mark(kept: int, of: int, what: str) -> str:
    """Return the mark for a truncation: how many of how many items are kept."""
    return f"(cut, {kept} of {of} {what})"


def bounded(labels: Mapping[str, str]) -> dict[str, str]:
    """Return the first of the labels that fit into a request together."""
    characters = sum(map(len, labels)) + sum(map(len, labels.values()))
    if 6 * characters + 8 * len(labels) <= MOST_LABELS:  # whatever the characters are
        return dict(labels)
    found: dict[str, str] = {}
    size = 0
    for name, text in labels.items():
        size += len(json.dumps({name: text}, ensure_ascii=False).encode())
        if size > MOST_LABELS:
            break
        found[name] = text
    return found
