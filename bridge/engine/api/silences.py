"""Silences of Alertmanager in force, with the requests that they hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bridge.domain.request import HoldReason, RequestRecord
from bridge.domain.silence import Silence
from bridge.domain.times import Timestamp
from bridge.engine.api.silence_views import SilencesView, SilenceView
from bridge.engine.engine import Engine
from bridge.engine.requests.gates import Gatekeeper, request_labels

MOST = 100  # requests examined
_SILENCE_GATES = {HoldReason.SILENCED, HoldReason.SILENCES_UNKNOWN}


def in_force(
    engine: Engine, failing: Mapping[str, str], now: Timestamp, offset: int, limit: int
) -> SilencesView | None:
    """Return a page of the silences in force at `now`, None without an Alertmanager.

    failing: error by address of each Alertmanager that does not answer.
    """
    with engine.read() as state:
        keeper, known = state.gatekeeper, state.settings.silences()
        held = [item for item in state.episode_index.requests.values() if item.hold in _SILENCE_GATES][:MOST]
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
    """Return the requests that each silence covers or may cover, by the silence's id."""
    holding: dict[str, list[RequestRecord]] = {}
    for record in held:
        labels = keeper.routing.identity(request_labels(record))
        for silence in silences:
            if silence.silences(labels, now) or silence.may_silence(labels, now):
                holding.setdefault(silence.id, []).append(record)
    return holding
