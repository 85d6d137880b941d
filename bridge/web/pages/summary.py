"""How a model is, in words: one sentence on its state, and its episodes with what was asked in them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.domain.request import Episode, RequestRecord
from bridge.engine.api.views import ModelState, ModelView, SignalView, TrailView
from bridge.web.pages.charts import own_scale
from bridge.web.pages.site import figure, when, words

_TOLD = 3  # rules that the sentence names


@dataclass(frozen=True, slots=True)
class Lived:
    """An episode and one request of it. record None: nothing was asked; episode None: asked by hand, or forgotten."""

    episode: Episode | None
    record: RequestRecord | None

    @property
    def _at(self) -> tuple[int, int]:
        began = self.episode.started_at if self.episode is not None else 0
        asked = self.record.request.triggered_at if self.record is not None else 0
        return began or asked, asked


def lived(episodes: Sequence[Episode], requests: Sequence[RequestRecord]) -> list[Lived]:
    """The newest first; an episode with several requests is there once for each."""
    known = {episode.started_at: episode for episode in episodes}
    found = [Lived(known.get(record.request.episode_start), record) for record in requests]
    asked = {record.request.episode_start for record in requests}
    found += [Lived(episode, None) for start, episode in known.items() if start not in asked]
    return sorted(found, key=lambda item: item._at, reverse=True)


def sentence(view: ModelView, requests: Sequence[RequestRecord], trails: Mapping[str, TrailView]) -> str:
    """How the model is, since when and why, and what is being done about it."""
    active = sorted((item for item in view.signals if item.active_at), key=lambda item: item.active_at)
    parts = [_active(item, trails.get(item.rule)) for item in active[:_TOLD]]
    if len(active) > len(parts):
        parts.append(f"{len(active) - len(parts)} more rules are not at rest.")
    if not active:
        blind = view.state is ModelState.NO_DATA
        parts.append("No rule can judge it now." if blind else "No rule is pending or firing.")
    return " ".join([*parts, *(_asked(requests[0]) if requests else ())])


def _active(item: SignalView, trail: TrailView | None) -> str:
    """Why a rule is not at rest."""
    unit = f" {item.unit}" if item.unit else ""
    known = item.cause == "none"
    seen = f"{item.signal} {'is' if known else 'was last'} {figure(item.value)}{unit}{_against(item, trail)}"
    doubt = "" if known else f", and now it is {item.verdict} ({words(item.cause)})"
    return f"{item.rule} is {item.state}; since {when(item.active_at)} UTC {seen}{doubt}."


def _against(item: SignalView, trail: TrailView | None) -> str:
    """On which side of its limit; of a limit on another number, that number as well."""
    if math.isnan(item.threshold):
        return ""
    if trail is not None and own_scale(trail):
        made = next((number for number in reversed(trail.statistic) if math.isfinite(number)), math.nan)
        return f", its statistic {figure(made)} with the limit {figure(item.threshold)}"
    side = "above" if item.value > item.threshold else "below" if item.value < item.threshold else "at"
    return f", {side} {figure(item.threshold)}"


def _asked(record: RequestRecord) -> list[str]:
    """What became of the latest request."""
    hold = f" by {words(record.hold.value)}" if record.hold is not None and record.state.value == "held" else ""
    if not record.state.terminal:
        return [f"A request is {words(record.state.value)}{hold} since {when(record.updated_at)} UTC."]
    made = f", and made version {record.new_version}" if record.new_version else ""
    judged = f"; it was judged {words(record.verdict.value)}" if record.verdict is not None else ""
    return [f"The last request ended as {words(record.state.value)} at {when(record.ended_at)} UTC{made}{judged}."]
