"""Changes of signals around retrainings, read from a running bridge for `report`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bridge.authoring.impact.differences import Change
from bridge.authoring.impact.impact import WINDOW
from bridge.cli.calls import get

SETTLE = timedelta(minutes=5)
MOST_EVENTS, MOST_SIBLINGS = 20, 3
_HOURS = timedelta(hours=6)
_LEAST_VALUES = 2
Model = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Changes:
    """Reader of changes. now: the present instant."""

    url: str
    http_config: Path | None
    now: datetime

    def treated(self, requests: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Change, list[Change]]]:
        """Yield the change of each of the latest retrainings, and those of its siblings."""
        done = [item for item in requests if item["state"] == "succeeded" and self._limit(item) and self._over(item)]
        for item in done[:MOST_EVENTS]:
            own = self._change(item, _model(item), {**_model(item), "version": item["new_version"] or item["version"]})
            if own is not None:
                siblings = (self._change(item, model, model) for model in self._siblings(item, requests))
                yield own, [change for change in siblings if change is not None]

    def untreated(self, requests: Sequence[Mapping[str, Any]]) -> Iterator[Change]:
        """Yield the change of each of the latest breaches that ended, or expired, without a retraining."""
        unsent = [item for item in requests if item["sent_at"] is None and item["state"] in {"withdrawn", "expired"}]
        for item in [item for item in unsent if self._limit(item) and self._over(item)][:MOST_EVENTS]:
            change = self._change(item, _model(item), _model(item))
            if change is not None:
                yield change

    def _over(self, request: Mapping[str, Any]) -> bool:
        return _at(request["ended_at"] or request["triggered_at"]) + SETTLE + _HOURS <= self.now

    @staticmethod
    def _limit(request: Mapping[str, Any]) -> float:
        """Return the limit of the leading rule; 0 if there is none that the value can be compared with."""
        for item in request["evidence"]:
            if item["rule"] == request["rule"] and isinstance(item["threshold"], int | float):
                same = item["statistic"] is None or item["statistic"] == item["value"]
                return float(item["threshold"]) if same and item["threshold"] > 0 else 0.0
        return 0.0

    def _siblings(self, request: Mapping[str, Any], requests: Sequence[Mapping[str, Any]]) -> list[Model]:
        """Return models of the project that the rule reads, and that were not requested around this time."""
        span = _at(request["triggered_at"]) - _HOURS, _at(request["ended_at"]) + SETTLE + _HOURS
        busy = {item["pipeline"] for item in requests if span[0] <= _at(item["triggered_at"]) <= span[1]}
        listed = get(
            self.url, self.http_config, "models", {"project": request["project"], "rule": request["rule"], "limit": 100}
        )["models"]
        return [_model(item) for item in listed if item["pipeline"] not in busy][:MOST_SIBLINGS]

    def _change(self, request: Mapping[str, Any], before: Model, after: Model) -> Change | None:
        """Return the change of the rule's signal between two models' windows, None without enough values."""
        start, end = _at(request["triggered_at"]), _at(request["ended_at"] or request["triggered_at"]) + SETTLE + _HOURS
        means = [self._mean(request, model, at) for model, at in ((before, start), (after, end))]
        return None if math.isnan(sum(means)) else Change(*means)

    def _mean(self, request: Mapping[str, Any], model: Model, until: datetime) -> float:
        """Return the mean of value / limit in the window up to an instant, NaN without enough values."""
        parameters = {**model, "rule": request["rule"], "last": WINDOW, "until": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        values = get(self.url, self.http_config, "history", parameters)["value"]
        numbers = [value for value in values if isinstance(value, int | float)]
        return sum(numbers) / len(numbers) / self._limit(request) if len(numbers) >= _LEAST_VALUES else math.nan


def _model(entry: Mapping[str, Any]) -> Model:
    return {name: entry[name] for name in ("project", "pipeline", "version")}


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
