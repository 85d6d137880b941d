"""Upserts of the SQL store, in both dialects."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Integer,
    MetaData,
    Table,
    create_engine,
    create_mock_engine,
    select,
)

from bridge.store import base, tables
from bridge.store.base import columns, page_cache_for, upsert

COUNTS = Table(
    "counts", MetaData(), Column("id", Integer, primary_key=True), Column("n", Integer), Column("m", Integer)
)


@pytest.fixture
def connection() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.begin() as opened:
        COUNTS.create(opened)
        yield opened
    engine.dispose()


def contents(connection: Connection) -> list[tuple[int, ...]]:
    return [tuple(row) for row in connection.execute(select(COUNTS).order_by(COUNTS.c.id))]


def row(key: int, n: int, m: int = 0) -> tuple[int, int, int]:
    return key, n, m


def test_rows_with_a_known_key_are_overwritten(connection: Connection) -> None:
    """Others are inserted, and rows that are not named stay."""
    upsert(connection, COUNTS, ("id",), [row(1, 10, 5), row(2, 20)])
    upsert(connection, COUNTS, ("id",), [row(2, 21), row(3, 30)])
    upsert(connection, COUNTS, ("id",), [])
    assert contents(connection) == [(1, 10, 5), (2, 21, 0), (3, 30, 0)]


def test_a_column_may_have_an_expression(connection: Connection) -> None:
    """It reads the stored and the new value."""

    def summed(statement: base.Insert) -> dict[str, ColumnElement[Any]]:
        return {"n": COUNTS.c.n + statement.excluded.n}

    upsert(connection, COUNTS, ("id",), [row(1, 10, 1)], summed)
    upsert(connection, COUNTS, ("id",), [row(1, 5, 2)], summed)
    assert contents(connection) == [(1, 15, 2)]


def test_many_rows_are_written_in_portions(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last portion may be shorter; none is lost or repeated."""
    monkeypatch.setattr(base, "PORTION", 3)
    upsert(connection, COUNTS, ("id",), [row(key, key) for key in range(7)])
    assert contents(connection) == [(key, key, 0) for key in range(7)]


def cache_size(connection: Connection) -> int:
    """Return the size of SQLite's page cache in KiB."""
    return -int(connection.exec_driver_sql("PRAGMA cache_size").scalar_one())


def test_a_transaction_with_many_rows_gets_a_larger_page_cache(connection: Connection) -> None:
    """It is small again afterwards, whatever happens: each connection of the pool keeps its own."""
    with page_cache_for(connection, base.MANY_ROWS + 1):
        assert cache_size(connection) == base.LARGE_PAGE_CACHE
    assert cache_size(connection) == base.PAGE_CACHE
    with pytest.raises(KeyError), page_cache_for(connection, base.MANY_ROWS + 1):
        raise KeyError
    assert cache_size(connection) == base.PAGE_CACHE


def test_other_transactions_keep_the_page_cache(connection: Connection) -> None:
    before = cache_size(connection)
    with page_cache_for(connection, base.MANY_ROWS):
        assert cache_size(connection) == before


def test_without_a_key_known_rows_are_kept(connection: Connection) -> None:
    """Others are inserted; the same rows in two statements too."""
    upsert(connection, COUNTS, (), [row(1, 10), row(2, 20)])
    upsert(connection, COUNTS, (), [row(2, 99), row(3, 30)])
    assert contents(connection) == [(1, 10, 0), (2, 20, 0), (3, 30, 0)]


@pytest.mark.parametrize(("dialect", "sign"), [("sqlite", "?"), ("postgresql+psycopg", "%s")])
def test_the_driver_gets_parameters_by_position(dialect: str, sign: str) -> None:
    """In the order of the columns; the statement has no parameter besides."""
    text = base._compiled(create_mock_engine(f"{dialect}://", lambda *_: None).dialect, COUNTS, ("id",), None)
    assert "INSERT INTO counts (id, n, m) VALUES (" in text
    assert "ON CONFLICT (id) DO UPDATE SET n = excluded.n, m = excluded.m" in text
    assert text.count(sign) == 3
    assert "%(" not in text
    assert "RETURNING" not in text


def test_a_serial_number_is_no_column_of_a_row() -> None:
    """The database assigns it; a whole number may be a key without being one."""
    assert columns(COUNTS) == ("id", "n", "m")
    assert columns(tables.decisions)[:2] == ("slot", "group_name")
    assert columns(tables.deliveries)[:2] == ("request_id", "destination")
