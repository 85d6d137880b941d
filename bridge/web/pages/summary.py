"""Summary of a model in words, and its history of episodes and requests."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from bridge.domain.request import Episode, RequestRecord
from bridge.engine.api.views import ModelState, ModelView, SignalView, TrailView
from bridge.web.pages.charts import apart
from bridge.web.pages.formats import clock, figure, reading, words

_NO_DATA, _AT_REST = Markup("No rule has data for this model."), Markup("No rule is pending or firing.")
_NAMED = 3  # rules that the summary names


@dataclass(frozen=True, slots=True)
class HistoryRow:
    """Episode with one of its requests.

    episode: None if the request was created by hand, or its episode is no longer stored.
    record: None if the episode has no request.
    """

    episode: Episode | None
    record: RequestRecord | None

    @property
    def _at(self) -> tuple[int, int]:
        started = self.episode.started_at if self.episode is not None else 0
        triggered = self.record.request.triggered_at if self.record is not None else 0
        return started or triggered, triggered


def history(episodes: Sequence[Episode], requests: Sequence[RequestRecord]) -> list[HistoryRow]:
    """Return the rows, newest first; an episode with several requests has one row for each."""
    by_start = {episode.started_at: episode for episode in episodes}
    rows = [HistoryRow(by_start.get(record.request.episode_start), record) for record in requests]
    with_request = {record.request.episode_start for record in requests}
    rows += [HistoryRow(episode, None) for start, episode in by_start.items() if start not in with_request]
    return sorted(rows, key=lambda row: row._at, reverse=True)


def sentence(view: ModelView, requests: Sequence[RequestRecord], trails: Mapping[str, TrailView]) -> Markup:
    """Describe the active rules of the model, since when and why, and the latest request."""
    active = sorted((item for item in view.signals if item.since), key=lambda item: item.since)
    parts = [_active(item, trails.get(item.rule)) for item in active[:_NAMED]]
    if len(active) > len(parts):
        parts.append(Markup("{} more rules are pending or firing.").format(len(active) - len(parts)))
    if not active:
        parts.append(_NO_DATA if view.state is ModelState.NO_DATA else _AT_REST)
    return Markup(" ").join([*parts, *(_latest(requests[0]) if requests else ())])


def _active(item: SignalView, trail: TrailView | None) -> Markup:
    """Describe why a rule is pending or firing."""
    if item.empty:
        return Markup(
            "{} is {} since {}, though its expression returns nothing now: `keep_firing_for` has not elapsed."
        ).format(item.rule, item.state, clock(item.since))
    known = item.cause == "none"
    value = f"{item.signal} {'is' if known else 'was last'} {reading(item.value, item.unit, item.event)}"
    doubt = "" if known else f", and is now {item.verdict} ({words(item.cause)})"
    return Markup("{} is {} since {}: {}{}{}.").format(
        item.rule, item.state, clock(item.since), value, _comparison(item, trail), doubt
    )


def _comparison(item: SignalView, trail: TrailView | None) -> str:
    """Compare the value with its limit; if the limit applies to a separate statistic, include that statistic."""
    if math.isnan(item.threshold):
        return ""
    if apart(item, trail):
        known = [] if trail is None else trail.statistic
        statistic = next((number for number in (item.statistic, *reversed(known)) if math.isfinite(number)), math.nan)
        return f", its statistic {figure(statistic)} (limit {figure(item.threshold)})"
    side = "above" if item.value > item.threshold else "below" if item.value < item.threshold else "at"
    return f", {side} {reading(item.threshold, item.unit, item.event)}"


def _latest(record: RequestRecord) -> list[Markup]:
    """Describe the state of the latest request."""
    state = words(record.state.value)
    if not record.state.terminal:
        hold = f" by {words(record.hold.value)}" if record.hold is not None and record.state.value == "held" else ""
        return [Markup("Latest request: {}{} since {}.").format(state, hold, clock(record.updated_at))]
    version = f", new version {record.new_version}" if record.new_version else ""
    verdict = f"; recovery verdict: {words(record.verdict.value)}" if record.verdict is not None else ""
    return [Markup("Latest request: {} at {}{}{}.").format(state, clock(record.ended_at), version, verdict)]
