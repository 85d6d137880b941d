"""Surroundings of the templates of rules: external labels and URL, and `query` within a budget."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from types import MappingProxyType

from bridge.domain.errors import SourceError
from bridge.domain.rule import DEFAULT_SERVER
from bridge.domain.times import Duration, Timestamp
from bridge.ports import Sample
from bridge.templates import values
from bridge.templates.alert import AlertTemplate
from bridge.templates.errors import CallError
from bridge.templates.prometheus import Context, Query

MOST_QUERIES = 500  # of all templates at one instant
MOST_SECONDS = 5.0  # that all queries of templates at one instant may take together
_INSTANTS = 64
_SAMPLES = 100_000


def no_query(_expr: str, _at: Timestamp) -> list[values.Sample]:
    """Refuse to query: there is no metric source. Raises CallError."""
    raise CallError("there is no Prometheus to query")


@dataclass(frozen=True, slots=True)
class External:
    """Settings of the bridge that templates show.

    labels: `global.external_labels`. url: under which people reach the bridge. ahead: how far the engine's clock is
    ahead of that of the samples, in ms (unit tests of rules).
    """

    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    url: str = ""
    ahead: Duration = 0


@dataclass(frozen=True, slots=True)
class Expander:
    """Expands templates at an instant, for one alert at a time."""

    external: External = External()
    query: Query = no_query

    def expand(
        self, template: AlertTemplate, labels: Mapping[str, str], value: float, limit: float | None, at: Timestamp
    ) -> str:
        """Return the text, or Prometheus' message about the error in its place: a request is never lost by it."""
        data = values.AlertData(labels, self.external.labels, self.external.url, value, limit)
        if (text := template.inserted(data)) is not None:
            return text
        context = Context(at - self.external.ahead, self.external.url, self._query)
        try:
            return template.expand_or_tell(data, context)
        except Exception as error:  # noqa: BLE001 - a defect in the template engine must not cost a request either
            return f"<error expanding template: {type(error).__name__}: {error}>"

    def _query(self, expr: str, at: Timestamp) -> Sequence[values.Sample]:
        return self.query(expr, at + self.external.ahead)


@dataclass(slots=True)
class _Instant:
    """Queries at one instant. results: (server, expression) -> samples, or the error message."""

    results: dict[tuple[str, str], list[values.Sample] | str] = field(default_factory=dict)
    seconds: float = 0.0


class TemplateQueries:
    """`query` of templates: evaluates each expression once at an instant, within a budget of time and number.

    It is called while the engine's lock is held, so the budget covers all templates of an instant together.
    """

    def __init__(self, evaluate: Callable[[str, Timestamp, str], Sequence[Sample]]) -> None:
        self._evaluate = evaluate
        self._instants: OrderedDict[Timestamp, _Instant] = OrderedDict()
        self._samples = 0

    def __call__(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> list[values.Sample]:
        """Return the samples. Raises CallError."""
        instant, key = self._instant(at), (server, expr)
        if key not in instant.results:
            self._refuse_more(instant)
            began = perf_counter()
            found = self._evaluated(expr, at, server)
            instant.seconds += perf_counter() - began
            instant.results[key] = found
            self._samples += len(found) if isinstance(found, list) else 0
        known = instant.results[key]
        if isinstance(known, str):
            raise CallError(known)
        return known

    def _instant(self, at: Timestamp) -> _Instant:
        if self._samples > _SAMPLES:
            self._samples = 0
            for item in self._instants.values():
                item.results.clear()
        found = self._instants.setdefault(at, _Instant())
        self._instants.move_to_end(at)
        if len(self._instants) > _INSTANTS:
            self._instants.popitem(last=False)
        return found

    @staticmethod
    def _refuse_more(instant: _Instant) -> None:
        if len(instant.results) >= MOST_QUERIES:
            raise CallError(f"templates made more than {MOST_QUERIES} queries in this slot")
        if instant.seconds >= MOST_SECONDS:
            raise CallError(f"the queries of templates took more than {MOST_SECONDS:g} s in this slot")

    def _evaluated(self, expr: str, at: Timestamp, server: str) -> list[values.Sample] | str:
        try:
            return [values.Sample(item.labels, item.value) for item in self._evaluate(expr, at, server)]
        except SourceError as error:
            return error.fault
