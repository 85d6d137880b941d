"""Metric source over a Prometheus-compatible server: one query per column of a signal, for all models at once."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import msgspec

from bridge.domain.batch import EventBatch
from bridge.domain.model import ModelTable
from bridge.domain.rule import DEFAULT_SERVER, SignalQuery
from bridge.domain.times import MINUTE, Duration, Timestamp, format_duration
from bridge.ports import Sample
from bridge.ports.history import HistoryChunk
from bridge.sources import history
from bridge.sources.api import Api, names
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import not_prometheus
from bridge.sources.patience import Report
from bridge.sources.reading import Reader

FUTURE: Duration = MINUTE  # tolerated clock skew
TEMPLATE_QUERY = 3.0  # seconds that one `query` of a template may take, retries included

__all__ = ["PrometheusConfig", "PrometheusSource"]


class PrometheusSource:
    """Implementation of ports.MetricSource. Thread-safe.

    table: the model table shared by all evaluations. base_dir: folder that `*_file` settings are relative to.
    timeout: seconds for one signal with all its columns and retries. report: as of Api.
    Raises ConfigError when a TLS file cannot be used.
    """

    def __init__(
        self, config: PrometheusConfig, table: ModelTable, base_dir: Path, *, timeout: float = 30.0,
        report: Report | None = None,
    ) -> None:  # fmt: skip
        self._api = Api(config, base_dir, timeout, report=report)
        self._reader = Reader(self._api, table)
        self._most_samples = config.max_samples

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @property
    def lacking(self) -> Set[tuple[str, str]]:
        """Pairs of a signal and a label of the model that series of the signal lacked."""
        return self._reader.lacking

    def instant(
        self, query: SignalQuery, slot: Timestamp, at: Timestamp, retry_for: Duration | None = None
    ) -> EventBatch:
        """Return the samples of every model at instant `at`, as the batch of `slot`. Raises SourceError.

        After the local clock was set back, slots may be ahead of the server's clock; its future is never queried.
        """
        now = self._api.server_now()
        until = math.inf if retry_for is None else time.monotonic() + retry_for / 1000
        return self._reader.instant(query, slot, at if at <= now + FUTURE else now - (slot - at), until)

    def history(self, query: SignalQuery, slots: Sequence[Timestamp], offset: Duration) -> Iterator[EventBatch]:
        """Yield one batch per slot, in order, each equal to `instant(query, slot, slot - offset)`.

        Raises SourceError: at once when the query fails, at the slot concerned for what `instant` refuses.
        """
        return history.walk(self._reader, query, slots, offset, self._most_samples)

    def chunks(
        self, queries: Sequence[SignalQuery], slots: Sequence[Timestamp], offset: Duration
    ) -> list[Iterator[HistoryChunk]]:
        """Return one iterator of chunks per query, like `history`, for several queries that are read in step."""
        return history.walk_in_step(self._reader, queries, slots, offset, self._most_samples)

    def evaluate(self, expr: str, at: Timestamp, server: str = DEFAULT_SERVER) -> list[Sample]:
        """Return the result of an instant query at `at`, for `query` in templates. Raises SourceError."""
        return self._reader.evaluate(expr, at, min(self._api.deadline(), time.monotonic() + TEMPLATE_QUERY))

    # ------------------------------------------------------------ listings, for `check`

    def label_names(
        self, selector: str = "", since: Timestamp | None = None, until: Timestamp | None = None
    ) -> list[str]:
        """Return all label names, or those of a selector's series, in a time range. Raises SourceError."""
        params = _time_range(since, until) | ({"match[]": selector} if selector else {})
        return names(self._api.listing(lambda client: client.get_label_names(params=params)))

    def metric_names(
        self, selector: str = "", since: Timestamp | None = None, until: Timestamp | None = None
    ) -> list[str]:
        """Return all metric names, or those of a selector's series, in a time range. Raises SourceError."""
        params = _time_range(since, until) | ({"match[]": selector} if selector else {})
        return names(self._api.listing(lambda client: client.all_metrics(params=params)))

    def sample_times(self, metric: str, span: Duration, at: Timestamp) -> list[Timestamp]:
        """Return the times of the samples within `span` before `at`, of the metric's series with most of them.

        Empty without a series. Raises SourceError.
        """
        window, params = format_duration(span), {"time": f"{at / 1000:.3f}"}
        most = self._api.listing(
            lambda client: client.custom_query(f"topk(1, count_over_time({metric}[{window}]))", params=params)
        )
        if not most:
            return []
        matchers = ",".join(f"{name}={json.dumps(value)}" for name, value in sorted(most[0]["metric"].items()))
        selector = f"{metric}{{{matchers}}}[{window}]"
        series = self._api.listing(lambda client: client.custom_query(selector, params=params))
        return [round(float(time) * 1000) for time, _ in series[0]["values"]] if series else []

    def alertmanagers(self) -> list[str]:
        """Return the base URLs of the Alertmanagers that the server sends alerts to. Raises SourceError."""
        body = self._api.query("/api/v1/alertmanagers", {}, self._api.deadline())
        try:
            active = msgspec.json.decode(body, type=_Alertmanagers).data.active
        except msgspec.DecodeError:
            raise not_prometheus("the answer is not a list of Alertmanagers") from None
        return [item.url.partition("/api/")[0] for item in active]


class _Alertmanager(msgspec.Struct):
    url: str


class _ActiveAlertmanagers(msgspec.Struct, rename={"active": "activeAlertmanagers"}):
    active: list[_Alertmanager]


class _Alertmanagers(msgspec.Struct):
    data: _ActiveAlertmanagers


def _time_range(since: Timestamp | None, until: Timestamp | None) -> dict[str, str]:
    given = {"start": since, "end": until}
    return {key: f"{at / 1000:.3f}" for key, at in given.items() if at is not None}
