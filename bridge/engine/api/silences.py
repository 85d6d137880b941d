"""Alertmanager's silences as people see them: what is in force, and what it holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.domain.request import HoldReason, RequestRecord
from bridge.domain.silence import Silence
from bridge.domain.times import Timestamp
from bridge.engine.api.views import SilencesView, SilenceView
from bridge.engine.engine import Engine
from bridge.engine.requests.gates import Gatekeeper, request_labels

MOST = 100  # requests that are looked at
_BY_SILENCES = {HoldReason.SILENCED, HoldReason.SILENCES_UNKNOWN}


def in_force(
    engine: Engine, failing: Mapping[str, str], now: Timestamp, offset: int, limit: int
) -> SilencesView | None:
    """A page of the silences at instant `now`; None when nobody is asked. failing: as SilencesView has it."""
    with engine.lock:
        keeper, known = engine.keeper(), engine.silences()
        held = [item for item in engine.book.requests.values() if item.hold in _BY_SILENCES][:MOST]
    if known is None:
        return None
    present = [item for item in known.silences if item.starts_at <= now < item.ends_at]
    holding = _holding(keeper, present, held, now)
    present.sort(key=lambda item: (not holding.get(item.id), item.ends_at, item.id))
    page = [SilenceView(item, holding.get(item.id, [])) for item in present[offset : offset + limit]]
    fresh = bool(known.fetched_at) and now - known.fetched_at <= keeper.gates.silences_max_age
    return SilencesView(page, len(present), known.fetched_at, fresh, keeper.gates.hold_unknown, failing)


def _holding(
    keeper: Gatekeeper, silences: Sequence[Silence], held: Sequence[RequestRecord], now: Timestamp
) -> dict[str, list[RequestRecord]]:
    """Return by silence the requests that it covers, or may cover."""
    found: dict[str, list[RequestRecord]] = {}
    for record in held:
        labels = keeper.routing.identity(request_labels(record))
        for silence in silences:
            if silence.silences(labels, now) or silence.may_silence(labels, now):
                found.setdefault(silence.id, []).append(record)
    return found
