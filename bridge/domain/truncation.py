"""Size limit of requests: explanatory texts are truncated with a mark, identity never."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec
from msgspec.structs import replace

from bridge.domain.limits import LARGEST_REQUEST, LONGEST_TEXT, cut, mark
from bridge.domain.request import Evidence, RetrainRequest

CUT = "_cut"  # label or annotation with the number of entries left out
_encode = msgspec.json.Encoder(enc_hook=dict).encode  # for mappings that are no dictionaries
_LEVELS = ((LONGEST_TEXT, 100), (2_000, 50), (1_000, 20), (500, 10), (200, 5), (40, 1))  # characters, entries


def size(request: RetrainRequest) -> int:
    """Return the size of the request as JSON, in bytes."""
    return len(json.dumps(request.to_json(), ensure_ascii=False).encode())


def truncated_request(request: RetrainRequest) -> RetrainRequest:
    """Return the request, truncated only as far as needed to fit into LARGEST_REQUEST bytes.

    id, model, leading rule and labels stay unchanged: configuration and sources limit their size.
    """
    if _certainly_fits(request):
        return request
    shortened = request
    for characters, entries in _LEVELS:
        if size(shortened) <= LARGEST_REQUEST:
            break
        shortened = _smaller(request, characters, entries)
    return shortened


def _certainly_fits(request: RetrainRequest) -> bool:
    """Return whether the request fits, without the cost of computing its size; nearly all do.

    The same texts are in both. What `size` counts besides (spaces, instants as text, texts for infinities) is less than
    the number of bytes here and 1,000 more.
    """
    try:
        return 2 * len(_encode(request)) + 1_000 <= LARGEST_REQUEST
    except UnicodeEncodeError:  # a lone surrogate
        return len(json.dumps(request.to_json())) <= LARGEST_REQUEST


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
    """Return the first entries with truncated texts."""
    kept = {cut(name, characters): cut(text, characters) for name, text in list(items.items())[:entries]}
    return kept if len(items) <= entries else {**kept, CUT: mark(entries, len(items), what)}
