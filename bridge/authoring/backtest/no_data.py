"""Message about a backtest in which no rule had data: the range, and when the server has the series of the rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from bridge.authoring.backtest.backtest import Plan
from bridge.authoring.backtest.results import Results
from bridge.authoring.suggest.selectors import range_length, selectors
from bridge.domain.batch import VALUE, EventKind
from bridge.domain.errors import SourceError
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import DAY, HOUR, MINUTE, Duration, Timestamp, format_duration, rfc3339
from bridge.sources.servers import PrometheusServers

POINTS = 240  # windows of the range in which samples are looked for
LOOKED_BACK = 366 * DAY  # before now, hour by hour
LOOKBACK = 5 * MINUTE  # Prometheus' --query.lookback-delta
LONGEST = 60.0  # seconds, then the search ends: of many series, a server returns few hours at a time
_BACK = re.compile(r"(?:\[|\boffset\b)\s*([0-9][0-9a-z]*)", re.IGNORECASE)


def no_data(
    plan: Plan, source: PrometheusServers, results: Results, now: Timestamp, clock: Callable[[], float] = monotonic
) -> str:
    """Return that no rule had data, with what to do; "" if a rule had some, failed, or was merely not breached.

    clock: seconds, for the time limit only.
    """
    tallies, probing = results.rules, _Probing(source, clock)
    if not tallies or any(tally.seen or tally.failed for tally in tallies.values()):
        return ""
    plain = [(group, rule) for group in plan.groups for rule in group.rules if tallies[rule.name].plain]
    alike: dict[Duration, list[SignalQuery]] = {}  # by how long before its slots a rule reads samples
    for group, rule in plain:
        query = group.queries[rule.query]
        alike.setdefault(group.offset + max(map(reach, query.exprs.values())), []).append(query)
    try:
        if any(_read(probing, queries, results, before) for before, queries in alike.items()):
            return ""
    except SourceError:
        return ""
    text = f"no rule has data from {rfc3339(results.since)} to {rfc3339(results.until)}"
    every = [query for group in plan.groups for query in group.queries.values()]
    try:
        seen = probing.seen(every, [*range((now - LOOKED_BACK) // HOUR * HOUR, now, HOUR), now])
    except SourceError:
        return text
    if not seen:
        hint = "The server has none of their series in the last year: check the expressions and the URL of the server"
        return f"{text}. {hint}"
    has = f"from {rfc3339(min(seen))} to {rfc3339(max(seen))}"
    return f"{text}. The server has their series {has}: choose --from and --to within that time"


def _read(probing: _Probing, queries: Sequence[SignalQuery], results: Results, before: Duration) -> bool:
    """Return whether a series of the queries has a sample in the range, or up to `before` ms earlier.

    Raises SourceError.
    """
    begin = results.since - before
    step = max(MINUTE, -(-(results.until - begin) // POINTS // 1000) * 1000)
    instants = [*range(begin + step, results.until, step), results.until]
    return bool(probing.seen(queries, instants, f"[{format_duration(step)}]"))


def reach(expr: str) -> Duration:
    """Return how long before its evaluation an expression reads samples: at most the sum of its ranges and offsets."""
    return LOOKBACK + sum(range_length(text) for text in _BACK.findall(expr))


@dataclass(frozen=True, slots=True)
class _Probing:
    """Search for series on the servers. clock: seconds."""

    source: PrometheusServers
    clock: Callable[[], float]

    def seen(self, queries: Sequence[SignalQuery], instants: Sequence[Timestamp], window: str = "") -> list[Timestamp]:
        """Return the instants at which the servers have a series. Raises SourceError, also after LONGEST.

        window: range before an instant in which a sample is looked for, such as "[5m]"; "" = Prometheus' own.
        """
        found, ends = [], self.clock() + LONGEST
        for probe in _probes(queries, window):
            for at, batch in zip(instants, self.source.history(probe, instants, 0), strict=True):
                if len(batch):
                    found.append(at)
                if self.clock() > ends:
                    raise SourceError(f"no end after {LONGEST:g} s", reason="timeout", transient=True)
        return found


def _probes(queries: Sequence[SignalQuery], window: str) -> Iterator[SignalQuery]:
    """Yield for each server a query that has a result where a series of its queries has a sample."""
    for server in dict.fromkeys(query.server for query in queries):
        texts = [text for query in queries if query.server == server for text in query.exprs.values()]
        found = dict.fromkeys(item.text for text in texts for item in selectors(text))
        parts = [f"group(last_over_time({text}{window}))" if window else f"group({text})" for text in found]
        if parts:
            yield SignalQuery("series", EventKind.CUSTOM, {VALUE: " or ".join(parts)}, ModelLabels.constant("x"),
                              server=server)  # fmt: skip
