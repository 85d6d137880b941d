"""What a fleet decided, slot by slot, and what a single process decides over the same history."""

from __future__ import annotations

import heapq
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from bridge.app import clock
from bridge.app.wiring import Bridge, Options
from bridge.config.load import load
from bridge.domain.rule import Group
from bridge.store.opening import migrate, parse_url, server_engine
from bridge.store.sql import SqlStore

Row = tuple[Any, ...]
Ticks = Sequence[tuple[str, int]]  # (group, present slot) in the order of the commits

# What a rule saw of a model in a slot: rows about requests have no query.
TRANSITION = (
    "slot, group_name, rule, project, pipeline, version, before, after, verdict, cause, value, statistic, threshold, "
    "query, query_time"
)
TABLES = {
    "decisions": f"SELECT {TRANSITION}, outcome, reason, request_id, repeats FROM decisions",
    "requests": (
        "SELECT id, project, pipeline, version, rule, episode_start, attempt, triggered_at, state, body, hold, "
        "hold_until, sent_at, ended_at, message, acts, verdict, unhelpful FROM requests"
    ),
    "episodes": "SELECT * FROM episodes",
    "alerts": "SELECT * FROM alerts",
    "sightings": "SELECT * FROM sightings",
    "states": "SELECT rule, fingerprint, slot, models, data FROM strategy_state",
}
Tables = Mapping[str, list[Row]]


def record_ticks(url: str) -> None:
    """Let an empty database record the present slot of each tick that is committed."""
    engine = server_engine(parse_url(url), pooled=False)
    migrate(engine, "the test")
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE ticks (seq bigserial PRIMARY KEY, group_name text, slot bigint)")
        connection.execute(
            "CREATE FUNCTION add_tick() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO ticks (group_name, slot) VALUES (NEW.group_name, NEW.slot); RETURN NEW; END $$"
        )
        connection.execute(
            "CREATE TRIGGER add_tick AFTER INSERT OR UPDATE ON slots FOR EACH ROW EXECUTE FUNCTION add_tick()"
        )


def ticks_of(url: str) -> Ticks:
    """Return the ticks that a database recorded."""
    with psycopg.connect(url, autocommit=True) as connection:
        return [(group, slot) for group, slot in connection.execute("SELECT group_name, slot FROM ticks ORDER BY seq")]


def each_slot(ticks: Ticks, groups: Iterable[Group]) -> Ticks:
    """Return the ticks of a process that was never late, from the first to the last slot of each group."""
    found = []
    for group in groups:
        slots = [slot for name, slot in ticks if name == group.name]
        found.append([(slot, group.name) for slot in range(slots[0], slots[-1] + 1, group.interval)])
    return [(name, slot) for slot, name in heapq.merge(*found)]


def server_tables(url: str) -> Tables:
    """Return the tables of a PostgreSQL database."""
    with psycopg.connect(url, autocommit=True) as connection:
        found = {name: connection.execute(query).fetchall() for name, query in TABLES.items()}
    return _ordered(found)


def single_process(config_file: Path, store_file: Path, ticks: Ticks, patch: pytest.MonkeyPatch) -> Tables:
    """Return the tables of one process on SQLite that evaluates these ticks; its clock is set, and it sends nothing."""
    now = [ticks[0][1]]
    patch.setattr(clock, "now", lambda: now[0])
    store = SqlStore.open_sqlite(store_file)
    process = Bridge(Options(config_file), load(config_file), store, rescheduled=lambda _: None)
    for group, slot in ticks:
        now[0] = slot
        process.evaluate(group)
    with store._engine.connect() as connection:
        found = {name: [tuple(row) for row in connection.execute(text(query))] for name, query in TABLES.items()}
    process.stop()
    store.close()
    return _ordered(found)


def _ordered(found: Tables) -> Tables:
    """Return sorted tables, with strategy states by model: a chunk's order is that in which models were loaded."""
    states: list[Row] = []
    for rule, fingerprint, slot, models, data in found["states"]:
        names, size = json.loads(models), len(data) // max(1, len(json.loads(models)))
        if "#" not in rule:  # else no strategy's
            parts = [(*name, data[index * size : (index + 1) * size].hex()) for index, name in enumerate(names)]
            states.append((rule, fingerprint, slot, sorted(parts)))
    return {name: sorted(rows, key=repr) for name, rows in {**found, "states": states}.items()}


def transitions(tables: Tables) -> list[Row]:
    """Return what rules saw of models, without what lateness may change: outcome, reason and request."""
    size = len(TRANSITION.split(","))
    return sorted((row[:size] for row in tables["decisions"] if row[13]), key=repr)


def differences(found: Iterable[Row], wanted: Iterable[Row]) -> list[str]:
    """Return the rows that only one of two tables has, the first ones of each."""
    ours, theirs = Counter(map(repr, found)), Counter(map(repr, wanted))
    return [f"- {row}" for row in list(theirs - ours)[:5]] + [f"+ {row}" for row in list(ours - theirs)[:5]]
