"""Makes a request small enough for every receiver: what explains it is cut, with a mark, and never who it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace

from bridge.domain.limits import LARGEST_REQUEST, LONGEST_TEXT, cut, mark
from bridge.domain.request import Evidence, RetrainRequest

CUT = "_cut"  # the label or annotation that says how many others are missing
_LEVELS = ((LONGEST_TEXT, 100), (2_000, 50), (1_000, 20), (500, 10), (200, 5), (40, 1))  # characters, entries


def size(request: RetrainRequest) -> int:
    """Return how many bytes the request has as JSON."""
    return len(json.dumps(request.to_json(), ensure_ascii=False).encode())


def fitted(request: RetrainRequest) -> RetrainRequest:
    """Return the request, cut as little as makes it fit into LARGEST_REQUEST bytes.

    id, model, leading rule and labels stay: files and sources bound them.
    """
    fitting = request
    for characters, entries in _LEVELS:
        if size(fitting) <= LARGEST_REQUEST:
            break
        fitting = _smaller(request, characters, entries)
    return fitting


def _smaller(request: RetrainRequest, characters: int, entries: int) -> RetrainRequest:
    counts = ((len(request.reasons), "reasons"), (len(request.evidence), "pieces of evidence"))
    marks = [mark(entries, count, what) for count, what in counts if count > entries]
    return replace(
        request,
        reason=cut(request.reason, characters),
        reasons=(*(cut(reason, characters) for reason in request.reasons[:entries]), *marks),
        evidence=tuple(_evidence(item, characters, entries) for item in request.evidence[:entries]),
        annotations=_entries(request.annotations, characters, entries, "annotations"),
    )


def _evidence(item: Evidence, characters: int, entries: int) -> Evidence:
    return replace(
        item,
        rule=cut(item.rule, characters),
        signal=cut(item.signal, characters),
        query=cut(item.query, characters),
        series=_entries(item.series, characters, entries, "labels"),
    )


def _entries(items: Mapping[str, str], characters: int, entries: int, what: str) -> dict[str, str]:
    """Return the first entries, their texts cut."""
    kept = {cut(name, characters): cut(text, characters) for name, text in list(items.items())[:entries]}
    return kept if len(items) <= entries else {**kept, CUT: mark(entries, len(items), what)}
