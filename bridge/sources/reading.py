"""Reader of a signal's columns: runs the queries, decodes the results, maps series to models, refuses the unusable."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np

from bridge.domain.batch import HISTOGRAMS, EventBatch
from bridge.domain.errors import SourceError
from bridge.domain.model import ModelTable
from bridge.domain.rule import ModelLabels, SignalQuery
from bridge.domain.times import Timestamp
from bridge.net.memory import give_back
from bridge.ports import Sample
from bridge.sources import decode, matrix, native
from bridge.sources.api import Api
from bridge.sources.columns import Buckets, Column, assemble, batch, refuse_flood
from bridge.sources.decode import HISTOGRAM, MALFORMED, LabelSets
from bridge.sources.mapping import MISSING_LABEL, Layout, SeriesIndex
from bridge.sources.matrix import Grid, Matrix
from bridge.sources.native import Natives, joined

log = logging.getLogger(__name__)
T = TypeVar("T")
MOST_EVALUATED = 10_000  # samples of one `query` of a template


@dataclass(frozen=True, slots=True, eq=False)
class GridColumn:
    """One column on a grid: its samples, and their mapping to models."""

    name: str
    samples: Matrix
    layout: Layout


class Reader:
    """Reader of single columns, at an instant or over a grid. Thread-safe."""

    def __init__(self, api: Api, table: ModelTable) -> None:
        self.api = api
        self.table = table
        self._indexes: dict[tuple[ModelLabels, bool], SeriesIndex] = {}
        self._before: dict[str, LabelSets] = {}
        self.lacking: set[tuple[str, str]] = set()

    # ------------------------------------------------------------ an instant

    def instant(self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_until: float = math.inf) -> EventBatch:
        """Return all columns at instant `at`, as the batch of `slot`. Raises SourceError."""
        ends = self.api.deadline()
        columns = {name: self.at_instant(query, name, at, ends, retry_until) for name in query.exprs}
        return batch(query, slot, self.table, columns)

    def at_instant(
        self, query: SignalQuery, name: str, at: Timestamp, ends: float, retry_until: float = math.inf
    ) -> Column:
        """Return column `name` of the signal at instant `at`. Raises SourceError."""
        params = self._params(query.exprs[name], time=seconds(at))
        body = [self.api.query("/api/v1/query", params, ends, retry_until)]
        user = f"{query.name}/{name}"
        before = self._before.get(user)
        samples = _decoded(
            body,
            lambda text: decode.samples(text, before),
            lambda found: before is not None and found.metrics is before.metrics,
        )
        refuse_flood(query.name, samples.elements, query.limit)
        if not samples.labelled and not constant(query.mapping):
            raise SourceError(
                f"signal {query.name!r}: the expression is a scalar and belongs to no model; "
                "give project, pipeline and version as constants, or use an expression with series",
                reason="bad_data",
                transient=False,
            )
        layout = self._arrange(query, name, samples.metrics, user)
        if before is None or samples.metrics is not before.metrics:
            self._before[user] = LabelSets.of(samples.metrics)
        buckets = Buckets(layout.rows, layout.bounds, layout.series, samples.values[layout.positions], layout.ids)
        skipped = _sum(samples.skipped, layout.skipped())
        if samples.natives and name in HISTOGRAMS:
            buckets, lost = self._with_natives(query, user, buckets, native.of_instant(samples.natives))
            skipped = _sum({**skipped, HISTOGRAM: 0}, lost)
        return assemble(
            query.name, self.table, buckets,
            elements=samples.elements, skipped=skipped, notes=samples.notes, partial=samples.partial,
        )  # fmt: skip

    def evaluate(self, expr: str, at: Timestamp, ends: float) -> list[Sample]:
        """Return the samples of an instant query, whatever its labels; a scalar has none. Raises SourceError."""
        body = [self.api.query("/api/v1/query", self._params(expr, time=seconds(at)), ends)]
        samples = _decoded(body, decode.samples)
        if samples.elements > MOST_EVALUATED:
            raise SourceError(f"more than {MOST_EVALUATED} samples", reason="limit", transient=False)
        labels = [msgspec.json.decode(metric, type=dict[str, str]) for metric in samples.metrics]
        if not samples.labelled:
            labels = [{} for _ in samples.values]
        return [Sample(*item) for item in zip(labels, samples.values.tolist(), strict=True)]

    # ------------------------------------------------------------ a time range

    def over(self, query: SignalQuery, name: str, grid: Grid, ends: float) -> GridColumn:
        """Return column `name` of the signal at every instant of the grid. Raises SourceError."""
        params = self._params(
            query.exprs[name], start=seconds(grid.start), end=seconds(grid.end), step=seconds(grid.step)
        )
        body = [self.api.query("/api/v1/query_range", params, ends, shorter=grid.count > 1)]
        samples = _decoded(body, lambda text: matrix.matrix(text, grid, natives=name in HISTOGRAMS))
        return GridColumn(name, samples, self._arrange(query, name, samples.metrics, f"{query.name}/{name} over time"))

    def at_point(self, query: SignalQuery, column: GridColumn, point: int) -> Column:
        """Return what `at_instant` would return at a point of the grid. Raises SourceError."""
        samples, layout = column.samples, column.layout
        present = samples.present[:, point]
        chosen = np.flatnonzero(present[layout.positions])
        complete = len(chosen) == len(layout.positions)
        positions = layout.positions if complete else layout.positions[chosen]
        histograms = int(samples.histograms[point])
        elements = int(present.sum()) + histograms + samples.malformed
        refuse_flood(query.name, elements, query.limit)
        lost = {HISTOGRAM: histograms, MALFORMED: samples.malformed}
        if len(layout.damaged) or len(layout.unmapped):
            lost[MALFORMED] += int(present[layout.damaged].sum())
            lost[MISSING_LABEL] = int(present[layout.unmapped].sum())
        series = layout.series if complete else [layout.series[index] for index in chosen.tolist()]
        bounds = None if layout.bounds is None else layout.bounds[chosen]
        buckets = Buckets(layout.rows[chosen], bounds, series, samples.values[positions, point], layout.ids[chosen])
        histograms_here = [(metric, by_point[point]) for metric, by_point in samples.natives if point in by_point]
        if histograms_here:
            user = f"{query.name}/{column.name} over time"
            buckets, more = self._with_natives(query, user, buckets, native.of_histograms(histograms_here))
            lost = _sum({**lost, HISTOGRAM: 0}, more)
        return assemble(
            query.name, self.table, buckets,
            elements=elements, skipped=_sum(lost), notes=samples.notes, partial=samples.partial,
        )  # fmt: skip

    def _with_natives(
        self, query: SignalQuery, user: str, classic: Buckets, natives: Natives
    ) -> tuple[Buckets, Mapping[str, int]]:
        """Return the buckets with those of native histograms added, and reason -> count of the unused histograms."""
        layout = self._index(query.mapping, "").arrange(natives.metrics, f"{user}, native")
        self._warn(query.name, layout)
        return joined(classic, natives, layout), _sum({MALFORMED: natives.malformed}, layout.skipped())

    def forget(self, query: SignalQuery) -> None:
        """Drop the label sets of a query's last range answer, once its history has been read."""
        for name in query.exprs:
            self._index(query.mapping, name).forget(f"{query.name}/{name} over time")
            self._index(query.mapping, "").forget(f"{query.name}/{name} over time, native")

    def known(self) -> dict[str, int]:
        """Return the number of label sets in the last answer of each column, as far as they are still stored."""
        return {user: size for index in self._indexes.values() for user, size in index.users().items()}

    # ------------------------------------------------------------ models

    def _index(self, mapping: ModelLabels, name: str) -> SeriesIndex:
        """Return the index of a mapping's label sets, shared by every signal that uses the mapping."""
        buckets = name in HISTOGRAMS
        return self._indexes.setdefault((mapping, buckets), SeriesIndex(mapping, self.table, buckets=buckets))

    def _arrange(self, query: SignalQuery, name: str, metrics: list[bytes], user: str) -> Layout:
        layout = self._index(query.mapping, name).arrange(metrics, user)
        self._warn(query.name, layout)
        return layout

    def _warn(self, signal: str, layout: Layout) -> None:
        """Log that series lack a mapped label: once for each signal and label."""
        for label in [label for label in sorted(layout.lacking) if (signal, label) not in self.lacking]:
            self.lacking.add((signal, label))
            example = layout.lacking[label].decode(errors="replace")
            log.warning(
                "series without a label of the model are skipped",
                extra={"signal": signal, "label": label, "count": len(layout.unmapped), "example": example},
            )

    def _params(self, expr: str, **more: str) -> dict[str, str]:
        config = self.api.config
        own = config.back_end.parameters(config.partial_response, over_time="step" in more)
        return {"query": expr, **more, "timeout": f"{self.api.timeout:g}", **own}


def _decoded(body: list[bytes], decoder: Callable[[bytes], T], repeats: Callable[[T], bool] = lambda _: False) -> T:
    """Decode the one answer in `body`, emptying the list, and return the memory to the system, also on failure.

    repeats: returns whether an answer has the series of the one before. The next one will need the same memory, and the
    faults of its pages would take a tenth of a tick.
    """
    large = len(body[0])
    try:
        decoded = decoder(body.pop())
        large = 0 if repeats(decoded) else large
    except SourceError as error:
        error.__traceback__ = error.__context__ = None  # their frames reference the answer
        raise
    finally:
        give_back(large)
    return decoded


def _sum(*counts: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for part in counts:
        for reason, count in part.items():
            if count:
                total[reason] = total.get(reason, 0) + count
    return total


def seconds(milliseconds: int) -> str:
    """Format an instant or a duration for the API, exact to the millisecond."""
    whole, rest = divmod(milliseconds, 1000)
    return f"{whole}.{rest:03d}" if rest else str(whole)


def constant(mapping: ModelLabels) -> bool:
    """Return whether every part of the model is a constant, so that a number without labels belongs to a model."""
    return all(ref.const is not None for ref in (mapping.project, mapping.pipeline, mapping.version))
