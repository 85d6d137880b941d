"""Storms across restarts, also a storm that holds no request any more: it holds those that follow."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

import msgspec

from bridge.domain.times import Timestamp
from bridge.ports import StateChunk

log = logging.getLogger(__name__)

Storms = Mapping[str, tuple[Timestamp, Timestamp]]  # group -> first and last instant

_SUFFIX = "#storm"
_span = msgspec.json.Decoder(tuple[Timestamp, Timestamp])


def changes(storms: Storms, stored: Storms, group: str, slot: Timestamp) -> list[StateChunk]:
    """Return what to store in a slot of a group: its storm if that has changed, and the removal of those that are over.

    stored: the storms that the store holds.
    """
    chunks = [StateChunk(f"{name}{_SUFFIX}", "", slot, (), b"") for name, (_, until) in stored.items() if until <= slot]
    current = storms.get(group)
    if current is not None and current != stored.get(group) and current[1] > slot:
        chunks.append(StateChunk(f"{group}{_SUFFIX}", "", slot, (), msgspec.json.encode(current)))
    return chunks


def after(stored: Storms, chunks: Iterable[StateChunk]) -> dict[str, tuple[Timestamp, Timestamp]]:
    """Return the storms that the store holds once it has stored `chunks`; chunks of other kinds are ignored."""
    found = dict(stored)
    for chunk in chunks:
        if not is_storm(chunk):
            continue
        name = chunk.rule.removesuffix(_SUFFIX)
        found.pop(name, None)
        if chunk.data:
            try:
                found[name] = _span.decode(chunk.data)
            except msgspec.DecodeError:
                log.warning("a stored storm cannot be read", extra={"group": name})
    return found


def is_storm(chunk: StateChunk) -> bool:
    """Return whether a chunk is a group's storm rather than state of a rule."""
    return not chunk.fingerprint and chunk.rule.endswith(_SUFFIX)
