"""Deletion of old rows in portions: each is selected without a lock and verified in the transaction that deletes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, literal_column, or_, select, tuple_

from bridge.domain.times import Timestamp
from bridge.store import tables

PORTION = 200  # rows, or requests with their deliveries: a few milliseconds
_EPISODE = ("project", "pipeline", "version", "started_at")


def delete_decisions(connection: Connection, before: Timestamp) -> int:
    """Delete a portion of old decisions, and return their number."""
    table = tables.decisions
    old = select(table.c.seq).where(table.c.slot < before).limit(PORTION)
    return connection.execute(delete(table).where(table.c.seq.in_(old))).rowcount


def old_requests(connection: Connection, before: Timestamp) -> list[Any]:
    """Return the ids of all requests to delete."""
    return list(connection.execute(select(tables.requests.c.id).where(_old(before))).scalars())


def delete_requests(connection: Connection, before: Timestamp, ids: Sequence[str]) -> int:
    """Delete requests that are still old, with their deliveries and runs, and return the number of rows."""
    requests, deliveries, runs = tables.requests, tables.deliveries, tables.runs
    gone = list(connection.execute(select(requests.c.id).where(requests.c.id.in_(ids), _old(before))).scalars())
    count = connection.execute(delete(deliveries).where(deliveries.c.request_id.in_(gone))).rowcount
    connection.execute(delete(runs).where(runs.c.request_id.in_(gone)))
    return count + connection.execute(delete(requests).where(requests.c.id.in_(gone))).rowcount


def _old(before: Timestamp) -> ColumnElement[bool]:
    """Return the condition for ended requests without open deliveries that are not the latest of their pipeline."""
    request, delivery = tables.requests, tables.deliveries
    busy = select(delivery.c.id).where(delivery.c.request_id == request.c.id, tables.OPEN).exists()
    kept = or_(~_followed("sent_at"), ~_followed("ended_at"))
    return and_(
        request.c.terminal == 1,
        request.c.ended_at > 0,
        request.c.ended_at < before,
        ~busy,
        or_(request.c.sent_at == 0, ~kept),
    )


def _followed(name: str) -> ColumnElement[bool]:
    """Return the condition that a sent request of the same pipeline is later by this instant."""
    request, later = tables.requests, tables.requests.alias("later")
    return (
        select(later.c.seq)
        .where(
            later.c.project == request.c.project,
            later.c.pipeline == request.c.pipeline,
            later.c.sent_at > literal_column("0"),
            tuple_(later.c[name], later.c.seq) > tuple_(request.c[name], request.c.seq),
        )
        .exists()
    )


def old_episodes(connection: Connection, before: Timestamp) -> list[Row[Any]]:
    """Return the keys of all episodes to delete."""
    key = (tables.episodes.c[name] for name in _EPISODE)
    return list(connection.execute(select(*key).where(_over(before))))


def delete_episodes(connection: Connection, before: Timestamp, keys: Sequence[Row[Any]]) -> int:
    """Delete episodes that have no requests, and return their number."""
    same = (tables.episodes.c[name] == bindparam(f"key_{name}") for name in _EPISODE)
    given = [{f"key_{name}": value for name, value in zip(_EPISODE, key, strict=True)} for key in keys]
    return connection.execute(delete(tables.episodes).where(*same, _over(before)), given).rowcount


def _over(before: Timestamp) -> ColumnElement[bool]:
    """Return the condition for episodes that ended before and have no requests any more."""
    episode, request = tables.episodes, tables.requests
    needed = select(request.c.seq).where(
        *(request.c[name] == episode.c[name] for name in _EPISODE[:3]),
        request.c.episode_start == episode.c.started_at,
    )
    return and_(episode.c.ended_at > 0, episode.c.ended_at < before, ~needed.exists())
