"""Stored chunk whose content is JSON: reading at a start."""

from __future__ import annotations

import logging
from typing import TypeVar

import msgspec

from bridge.engine.evaluation.rule import RuleEvaluator
from bridge.ports import StateChunk

T = TypeVar("T")
log = logging.getLogger(__name__)


def take(
    run: RuleEvaluator, name: str, stored: dict[tuple[str, str], StateChunk], decoder: msgspec.json.Decoder[T]
) -> tuple[StateChunk, T] | None:
    """Remove a chunk of the rule from `stored`, and return it with its content; None without a usable one.

    name: of the chunk.
    """
    chunk = stored.pop((name, run.fingerprint), None)
    if chunk is None:
        return None
    run.state_slots[name] = chunk.slot
    try:
        return chunk, decoder.decode(chunk.data)
    except msgspec.DecodeError as error:
        log.warning(
            "stored state of a rule cannot be read and is discarded",
            extra={"rule": run.rule.name, "chunk": name, "error": str(error)},
        )
        return None
