"""Read side of the SQL store: requests, decisions, episodes and deliveries; and pruning."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import chain
from typing import Any, TypeVar

from sqlalchemy import Column, ColumnElement, Select, TextClause, and_, bindparam, func, select, tuple_

from bridge.domain.model import ModelKey
from bridge.domain.request import Decision, Episode, Feedback, Outcome, RecoveryVerdict, RequestRecord, RequestState
from bridge.domain.times import Timestamp
from bridge.ports import DecisionFilter, DeliveryRecord, RequestFilter
from bridge.store import discarding, pruning, rows, tables
from bridge.store.base import SqlTransactions
from bridge.store.ticks import save_requests

_BY_ID = select(tables.requests).where(tables.requests.c.id.in_(bindparam("ids", expanding=True)))
Word = TypeVar("Word", bound=StrEnum)
_MODEL = ("project", "pipeline", "version")


PAUSE = 0.02  # seconds between two portions of a pruning


class SqlHistory(SqlTransactions):
    """Implementation of ports.History."""

    @property
    @abstractmethod
    def closed(self) -> bool:
        """Return whether the store was closed."""

    def request(self, request_id: str) -> RequestRecord | None:
        """Return a request by id; None if it is unknown."""
        with self._read() as connection:
            query = select(tables.requests).where(tables.requests.c.id == request_id)
            row = connection.execute(query).mappings().first()
        return None if row is None else rows.request_of(row)

    def requests_by_id(self, ids: Sequence[str]) -> list[RequestRecord]:
        """Return the requests with these ids."""
        with self._read() as connection:
            found = connection.execute(_BY_ID, {"ids": list(ids)}).mappings()
            return [rows.request_of(row) for row in found]

    def requests(self, which: RequestFilter) -> list[RequestRecord]:
        """Return matching requests, newest first."""
        with self._read() as connection:
            # One query for each state, so that an index gives the order of each.
            states: Sequence[RequestState | None] = which.states or (None,)
            pages = [connection.execute(_page(which, state)).mappings().all() for state in states]
        newest = sorted(chain(*pages), key=lambda row: (row["triggered_at"], row["seq"]), reverse=True)
        return [rows.request_of(row) for row in newest[: which.limit]]

    def episodes(self, model: ModelKey, limit: int = 20) -> list[Episode]:
        """Return the episodes of one model, newest first."""
        table = tables.episodes
        query = select(table).where(*(table.c[name] == value for name, value in model.labels().items()))
        with self._read() as connection:
            page = connection.execute(query.order_by(table.c.started_at.desc()).limit(limit)).mappings()
            return [rows.episode_of(row) for row in page]

    def save_request(self, record: RequestRecord) -> None:
        """Update a request outside a tick."""
        with self._write() as connection:
            save_requests(connection, [record])

    def sent(self, since: Timestamp) -> Mapping[str, int]:
        """Return the number of requests that were triggered since an instant and sent, by rule."""
        rule = tables.requests.c.rule
        recent = and_(tables.requests.c.triggered_at >= since, tables.SENT)
        with self._read() as connection:
            found = connection.execute(select(rule, func.count()).where(recent).group_by(rule))
            return {row[0]: row[1] for row in found}

    def verdicts(self) -> Mapping[str, Mapping[RecoveryVerdict, int]]:
        """Return, by rule, how many of its retrainings have each recovery verdict."""
        return self._counted(tables.requests.c.verdict, RecoveryVerdict, tables.JUDGED)

    def feedback(self) -> Mapping[str, Mapping[Feedback, int]]:
        """Return, by rule, how many of its requests have each feedback."""
        return self._counted(tables.requests.c.feedback, Feedback, tables.RATED)

    def _counted(self, column: Column[Any], kind: type[Word], known: TextClause) -> dict[str, dict[Word, int]]:
        """Count the requests that are `known` by rule and by the words in a column."""
        rule, counts = tables.requests.c.rule, dict[str, dict[Word, int]]()
        with self._read() as connection:
            query = select(rule, column, func.count()).where(known).group_by(rule, column)
            for name, word, count in connection.execute(query):
                found = rows.member(kind, {"rule": name, column.name: word}, "requests", column.name, "rule")
                counts.setdefault(name, {})[found] = count
        return counts

    def deliveries(self, request_id: str) -> list[DeliveryRecord]:
        """Return the deliveries of one request, in the order in which they were queued."""
        table = tables.deliveries
        with self._read() as connection:
            query = select(table).where(table.c.request_id == request_id).order_by(table.c.id)
            return [rows.delivery_of(row) for row in connection.execute(query).mappings()]

    def pending_deliveries(self, limit: int = 100) -> list[DeliveryRecord]:
        """Return deliveries that are pending or dead and not discarded, oldest first."""
        table = tables.deliveries
        query = select(table).where(tables.PENDING, discarding.KNOWN)
        with self._read() as connection:
            page = connection.execute(query.order_by(table.c.queued_at, table.c.id).limit(limit)).mappings()
            return [rows.delivery_of(row) for row in page]

    def decisions(self, which: DecisionFilter) -> list[Decision]:
        """Return matching decisions, newest first."""
        query = select(tables.decisions).where(*_wanted(which)).order_by(tables.decisions.c.seq.desc())
        outcomes: Sequence[Outcome | None] = which.outcomes or (None,)
        with self._read() as connection:
            pages = [
                connection.execute(_of_outcome(query, outcome).limit(which.limit)).mappings().all()
                for outcome in outcomes
            ]
        newest = sorted(chain(*pages), key=lambda row: row["seq"], reverse=True)
        return [rows.decision_of(row) for row in newest[: which.limit]]

    def prune(self, before: Timestamp) -> int:
        """Delete what ended before `before`, except the latest request of each pipeline; return the number of rows.

        What to delete is read without the write lock, and deleted in portions with a pause after each, so that no
        commit waits for long.
        """
        return sum(self._portions(before))

    def _portions(self, before: Timestamp) -> Iterator[int]:
        """Delete one portion after the other, and yield the number of rows of each."""
        while not self.closed:
            with self._write() as connection:
                count = pruning.delete_decisions(connection, before)
            yield count
            if count < pruning.PORTION:
                break
            time.sleep(PAUSE)
        steps: Sequence[tuple[Callable[..., Sequence[Any]], Callable[..., int]]] = (
            (pruning.old_requests, pruning.delete_requests),
            (pruning.old_episodes, pruning.delete_episodes),
        )
        for select_old, delete_old in steps:
            with self._read() as connection:
                old = select_old(connection, before)
            for start in range(0, len(old), pruning.PORTION):
                if self.closed:
                    return
                with self._write() as connection:
                    count = delete_old(connection, before, old[start : start + pruning.PORTION])
                yield count
                time.sleep(PAUSE)


def _page(which: RequestFilter, state: RequestState | None) -> Select[Any]:
    """Return the query of a page of requests with a state, None = any."""
    table = tables.requests
    query = select(table).order_by(table.c.triggered_at.desc(), table.c.seq.desc())
    for name in (*_MODEL, "rule"):
        if wanted := getattr(which, name):
            query = query.where(table.c[name] == wanted)
    if state is not None:
        query = query.where(table.c.state == state.value)
    if which.since:
        query = query.where(table.c.triggered_at >= which.since)
    if which.until:
        query = query.where(table.c.triggered_at <= which.until)
    if which.after:
        last = select(table.c.triggered_at, table.c.seq).where(table.c.id == which.after)
        query = query.where(tuple_(table.c.triggered_at, table.c.seq) < last.scalar_subquery())
    return query.limit(which.limit)


def _of_outcome(query: Select[Any], outcome: Outcome | None) -> Select[Any]:
    return query if outcome is None else query.where(tables.decisions.c.outcome == outcome.value)


def _wanted(which: DecisionFilter) -> Iterator[ColumnElement[bool]]:
    """Yield the conditions of a filter."""
    column = tables.decisions.c
    if which.since:
        yield column.slot >= which.since
    if which.until:
        yield column.slot <= which.until
    if which.before:
        yield column.seq < which.before
    labels = which.parts() if which.model is None else which.model.labels()
    yield from (column[name] == value for name, value in labels.items())
    if which.rule:
        yield column.rule == which.rule
