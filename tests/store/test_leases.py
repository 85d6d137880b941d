"""Tests of the lease and its fence on a real PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from bridge.domain.errors import SchemaTooNewError, StoreBusyError, StoreError, StoreUncertainError
from bridge.domain.times import Duration
from bridge.ports import TickChanges
from bridge.store import opening
from bridge.store.leases import SHARD, Fence, Leases, Member
from bridge.store.opening import migrate, parse_url, server_engine
from bridge.store.sql import SqlStore
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until
from tests.support.release import next_migrations

LEASE: Duration = 60_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def url(cluster: Postgres) -> str:
    """Return the URL of an empty database with the current schema."""
    address = cluster.database()
    engine = server_engine(parse_url(address), pooled=False)
    migrate(engine, "test")
    engine.dispose()
    return address


def leases(url: str, name: str, config: str = "a", lease: Duration = LEASE) -> Leases:
    member = Member(name, f"http://{name}", "1", config)
    return Leases(server_engine(parse_url(url), pooled=False), member, lease)


def taken(found: Fence | None) -> Fence:
    assert found is not None
    return found


def expire(url: str) -> None:
    """End the present lease, as time would."""
    engine = server_engine(parse_url(url), pooled=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE leases SET expires_at = 1"))
    engine.dispose()


def slot(store: SqlStore) -> int:
    return store.load(0).slots.get("g", 0)


def change(number: int) -> TickChanges:
    return TickChanges(at=number, group="g", slot=number)


def test_only_one_replica_takes_the_lease(url: str) -> None:
    """The second one gets nothing while the lease lasts; the fence counts the owners."""
    first, second = leases(url, "r1"), leases(url, "r2")
    fence = taken(first.take(1))
    assert fence.number == 1
    assert second.take(1) is None
    assert first.look(1).owner == "r1"
    assert second.look(1).owner_address == "http://r1"
    expire(url)
    assert second.look(1).free
    assert taken(second.take(1)).number == 2


def test_former_owner_writes_nothing(url: str) -> None:
    """Its transaction begins with the fence: StoreBusyError, and the slot stays the new owner's."""
    first, second = leases(url, "r1"), leases(url, "r2")
    old = taken(first.take(1))
    store = SqlStore.open_fleet(url, old, 30_000)
    store.commit(change(1))
    expire(url)
    new = SqlStore.open_fleet(url, taken(second.take(1)), 30_000)
    new.commit(change(2))
    with pytest.raises(StoreBusyError, match="another replica has taken over from r1"):
        store.commit(change(3))
    with pytest.raises(StoreBusyError):
        store.check()
    assert slot(new) == 2
    assert old.fenced == 2
    assert not first.renew(old.number)
    store.close()
    new.close()


def test_transaction_of_the_owner_delays_a_take_over(url: str) -> None:
    """A transaction that has passed the fence commits before another replica can take the lease."""
    first, second = leases(url, "r1"), leases(url, "r2")
    store = SqlStore.open_fleet(url, taken(first.take(1)), 30_000)
    expire(url)
    with store._write() as connection:
        assert second.take(1) is None  # the row is in use
        connection.execute(text("INSERT INTO slots (group_name, slot) VALUES ('g', 7)"))
    assert second.take(1) is None  # the transaction has renewed the lease
    assert slot(store) == 7
    store.close()


def test_suspended_transaction_is_ended_by_the_server(url: str) -> None:
    """After the idle limit the server rolls it back, and another replica takes the lease."""
    first, second = leases(url, "r1", lease=1000), leases(url, "r2")
    engine = server_engine(parse_url(url), idle_limit=2000, pooled=False)
    fence = taken(first.take(1))
    connection = engine.connect()
    connection.begin()
    fence.verify(connection)
    connection.execute(text("INSERT INTO slots (group_name, slot) VALUES ('g', 7)"))
    watching = server_engine(parse_url(url), pooled=False)
    gone = text("SELECT pg_sleep(0.05), count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'")
    with watching.connect().execution_options(isolation_level="AUTOCOMMIT") as look:
        for _ in range(400):
            if look.execute(gone).one()[1] == 0:
                break
    expire(url)
    store = SqlStore.open_fleet(url, taken(second.take(1)), 30_000)
    assert slot(store) == 0
    store.close()
    connection.invalidate()
    engine.dispose()


def test_owner_limits_the_waits_of_its_transactions(url: str) -> None:
    """From the renewal on, which waits for the row itself; readers have the usual limits."""
    fence = taken(leases(url, "r1").take(1))
    store = SqlStore.open_fleet(url, fence, 23_456)
    limit = text("SELECT current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout')")
    with store._write() as connection:
        assert connection.execute(limit).one() == ("23456ms", "10s")
    with store._read() as connection:
        assert connection.execute(limit).one() == ("1min", "10s")
    fence.limits = fence.limits.replace("'10000'", "'100'")
    other = server_engine(parse_url(url), pooled=False)
    with other.begin() as blocking:
        blocking.execute(text("SELECT 1 FROM leases FOR UPDATE"))
        with pytest.raises(StoreError, match="lock timeout"):
            store.commit(change(7))
    store.commit(change(8))
    assert slot(store) == 8
    other.dispose()
    store.close()


def test_released_lease_is_free_at_once(url: str) -> None:
    """And a release under an old fence changes nothing."""
    first, second = leases(url, "r1"), leases(url, "r2")
    old = taken(first.take(1))
    first.release(old.number)
    new = taken(second.take(1))
    first.release(old.number)
    assert second.look(1).owner == "r2"
    assert second.renew(new.number)


def test_configurations_are_numbered_in_the_order_of_use(url: str) -> None:
    """A start keeps the number of files that were used before; a reload is the newest, even back to old files."""
    old, new = leases(url, "r1", "old"), leases(url, "r2", "new")
    assert old.config_seq(reloaded=False) == 1
    assert new.config_seq(reloaded=False) == 2
    assert old.config_seq(reloaded=False) == 1
    assert old.config_seq(reloaded=True) == 3
    assert old.config_seq(reloaded=True) == 3
    assert new.config_seq(reloaded=False) == 2


def test_silent_replicas_are_not_among_the_living(url: str) -> None:
    """A replica that was not seen for two leases is left out; leaving removes it."""
    first, second = leases(url, "r1"), leases(url, "r2")
    first.look(1)
    assert [item.id for item in second.look(1).replicas] == ["r1", "r2"]
    engine = server_engine(parse_url(url), pooled=False)
    with engine.begin() as connection:
        connection.execute(text("UPDATE replicas SET seen_at = seen_at - 130000 WHERE id = 'r1'"))
    assert [item.id for item in second.look(1).replicas] == ["r2"]
    second.leave()
    with engine.begin() as connection:
        assert connection.execute(text("SELECT id FROM replicas")).scalars().all() == ["r1"]
        assert connection.execute(text("SELECT name FROM leases")).scalars().all() == [SHARD]
    engine.dispose()


def test_owner_notices_that_the_database_has_lost_commits(url: str) -> None:
    """Every write is uncertain until the state was loaded again; what the database has is the truth."""
    store = SqlStore.open_fleet(url, taken(leases(url, "r1").take(1)), 30_000)
    for number in (1, 2, 3):
        store.commit(change(number))
    engine = server_engine(parse_url(url), pooled=False)
    with engine.begin() as connection:  # as a standby that has not received the last two commits
        connection.execute(text("UPDATE leases SET writes = writes - 2"))
        connection.execute(text("UPDATE slots SET slot = 1"))
    engine.dispose()
    for _ in range(2):
        with pytest.raises(StoreUncertainError, match="has lost the last 2 commits"):
            store.commit(change(4))
    assert store.doubts == 2
    assert slot(store) == 1
    store.commit(change(2))
    assert (slot(store), store.doubts) == (2, 2)
    store.close()


def test_transaction_that_is_rolled_back_is_no_lost_commit(url: str) -> None:
    """Its number is used again."""
    store = SqlStore.open_fleet(url, taken(leases(url, "r1").take(1)), 30_000)
    store.commit(change(1))
    with pytest.raises(RuntimeError), store._write():
        raise RuntimeError
    store.commit(change(2))
    assert (slot(store), store.doubts) == (2, 0)
    store.close()


def migrated(url: str) -> None:
    """Migrate a database as the release that `opening.MIGRATIONS` stands for."""
    engine = server_engine(parse_url(url), pooled=False)
    try:
        migrate(engine, "test")
    finally:
        engine.dispose()


def test_migration_that_only_adds_lets_the_owner_continue(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for a transaction of the owner, whatever that still touches; lease and fence stay."""
    owner = leases(url, "r1")
    fence = taken(owner.take(1))
    store = SqlStore.open_fleet(url, fence, 30_000)
    monkeypatch.setattr(opening, "MIGRATIONS", next_migrations(tmp_path)[0])
    migrating = threading.Thread(target=migrated, args=(url,))
    waits = text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'LOCK TABLE%'")
    looking = server_engine(parse_url(url), pooled=False)
    with looking.connect().execution_options(isolation_level="AUTOCOMMIT") as look:
        with store._write() as connection:
            migrating.start()
            wait_until(lambda: look.execute(waits).scalar() == 1)
            for table in ("requests", "slots", "alerts"):
                connection.execute(text(f"DELETE FROM {table}"))
        migrating.join(300)
        assert look.execute(text("SELECT version_num FROM alembic_version")).scalar() == opening.revisions()[-1]
    looking.dispose()
    store.commit(change(1))
    assert (slot(store), owner.look(1).fence) == (1, fence.number)
    store.close()


def test_new_generation_of_the_schema_ends_the_ownership_of_an_older_release(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its next transaction writes nothing, and it cannot take the lease again; the newer release can."""
    old, new = leases(url, "old"), leases(url, "new")
    store = SqlStore.open_fleet(url, taken(old.take(1)), 30_000)
    store.commit(change(1))
    with monkeypatch.context() as newer:
        newer.setattr(opening, "MIGRATIONS", next_migrations(tmp_path, "0101")[0])
        migrated(url)
    with pytest.raises(StoreBusyError):
        store.commit(change(2))
    with pytest.raises(SchemaTooNewError, match="has schema 0101, this version supports up to 0009; run the newer"):
        old.take(1)
    assert old.look(1).free
    with monkeypatch.context() as newer:
        newer.setattr(opening, "MIGRATIONS", next_migrations(tmp_path / "again", "0101")[0])
        newest = SqlStore.open_fleet(url, taken(new.take(1)), 30_000)
    assert (slot(newest), new.look(1).fence) == (1, 3)
    store.close()
    newest.close()
