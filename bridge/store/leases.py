"""Lease of a fleet's shard in PostgreSQL: which replica decides, with a fence in each of its transactions.

Replicas compare instants of the database's clock only. A lease ends by itself. The next owner increments its fence: a
transaction of the former owner, which begins by renewing the lease under its fence, finds no row and writes nothing.

Each transaction that writes also increments a number in the lease's row. An owner that finds a smaller number than that
of its last commit knows that the database has lost commits, as after a fail-over with asynchronous replication.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, TextClause, text

from bridge.domain.errors import StoreBusyError, StoreError, StoreUncertainError
from bridge.domain.times import Duration, Timestamp
from bridge.store.opening import schema_revision, shown, verify_schema

log = logging.getLogger(__name__)

SHARD = "shard/0"
SILENT_LEASES = 2  # a replica that has not renewed for so many leases is gone

_NOW = "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000 AS bigint)"


def _sql(statement: str) -> TextClause:
    """Return a statement; {now} stands for the present instant of the database's clock, in ms since the epoch."""
    return text(statement.replace("{now}", _NOW))


_ADD_LEASE = _sql(
    "INSERT INTO leases (name, owner, fence, expires_at, since, config_seq) VALUES (:name, '', 0, 0, 0, 0) "
    "ON CONFLICT (name) DO NOTHING"
)
_TAKE = _sql(
    "UPDATE leases SET owner = :owner, fence = fence + 1, expires_at = {now} + :lease, since = {now}, "
    "config_seq = :config_seq WHERE name = (SELECT name FROM leases WHERE name = :name "
    "AND (owner = '' OR expires_at < {now}) FOR UPDATE SKIP LOCKED) RETURNING fence"
)
# A part of each transaction that writes: it is passed to the driver as it is, which takes a tenth less time.
_SET = "UPDATE leases SET expires_at = {now} + %(lease)s, writes = writes + %(writes)s ".replace("{now}", _NOW)
_MINE = "WHERE name = %(name)s AND owner = %(owner)s AND fence = %(fence)s RETURNING writes"
_RENEW = _SET + _MINE
_LIMIT_AND_RENEW = "WITH limits AS MATERIALIZED ({limits}) " + _SET + "FROM limits " + _MINE  # limits come first
_RELEASE = _sql("UPDATE leases SET owner = '', expires_at = 0 WHERE name = :name AND owner = :owner AND fence = :fence")
_BLOCK = _sql("SELECT fence, writes FROM leases WHERE name = :name FOR UPDATE")
_SEEN = _sql(
    "INSERT INTO replicas (id, address, release, config_hash, config_seq, started_at, seen_at) "
    "VALUES (:id, :address, :release, :config_hash, :config_seq, {now}, {now}) "
    "ON CONFLICT (id) DO UPDATE SET address = excluded.address, config_hash = excluded.config_hash, "
    "config_seq = excluded.config_seq, seen_at = excluded.seen_at"
)
_FORGET = _sql("DELETE FROM replicas WHERE id = :id OR seen_at < {now} - :silence")
_LEASE = _sql(
    "SELECT owner, fence, expires_at, since, config_seq, {now} AS now, "
    "(SELECT version_num FROM alembic_version) AS schema FROM leases WHERE name = :name"
)
_REPLICAS = _sql(
    "SELECT id, address, release, config_hash, config_seq, started_at, seen_at FROM replicas ORDER BY started_at, id"
)
_LATEST = _sql("SELECT seq, hash FROM configurations ORDER BY seq DESC LIMIT 1")
_KNOWN = _sql("SELECT max(seq) FROM configurations WHERE hash = :hash")
_ADD_CONFIGURATION = _sql("INSERT INTO configurations (hash) VALUES (:hash) RETURNING seq")
_LOCK_CONFIGURATIONS = _sql("LOCK TABLE configurations IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Member:
    """Description of this replica for the others.

    id: unique per process, also after a restart on the same host.
    address: base URL at which other replicas reach it.
    config_hash: digest of its configuration files.
    """

    id: str
    address: str
    release: str
    config_hash: str


@dataclass(frozen=True, slots=True)
class Replica:
    """Row of a replica. Instants in ms since the epoch, of the database's clock."""

    id: str
    address: str
    release: str
    config_hash: str
    config_seq: int
    started_at: Timestamp
    seen_at: Timestamp


@dataclass(frozen=True, slots=True)
class FleetState:
    """State of the fleet at a look at the database.

    owner: id of the replica whose lease is valid; "" without one.
    free: whether the lease can be taken.
    since: start of the present ownership; config_seq: configuration that it began with.
    now: instant of the database's clock; offset: that clock minus this host's, in ms.
    replicas: those that were seen lately, the oldest first.
    schema: revision of the database's schema.
    """

    owner: str
    fence: int
    free: bool
    expires_at: Timestamp
    since: Timestamp
    config_seq: int
    now: Timestamp
    offset: Duration
    replicas: tuple[Replica, ...]
    schema: str

    @property
    def owner_address(self) -> str:
        """Address of the owner, "" without one."""
        return next((replica.address for replica in self.replicas if replica.id == self.owner), "")


class Leases:
    """Lease of the shard as one replica uses it. Its calls use a connection of their own.

    engine: without a pool.
    lease: length of the lease, in ms.
    """

    def __init__(self, engine: Engine, member: Member, lease: Duration) -> None:
        self._engine = engine
        self.member = member
        self.lease = lease
        with self._engine.begin() as connection:
            connection.execute(_ADD_LEASE, {"name": SHARD})

    def look(self, config_seq: int) -> FleetState:
        """Record that this replica lives, and return the state of the fleet. Raises SQLAlchemyError."""
        member = self.member
        with self._engine.begin() as connection:
            connection.execute(
                _SEEN,
                {
                    "id": member.id, "address": member.address, "release": member.release,
                    "config_hash": member.config_hash, "config_seq": config_seq,
                },
            )  # fmt: skip
            before = time.time_ns()
            row = connection.execute(_LEASE, {"name": SHARD}).one()
            middle = (before + time.time_ns()) // 2_000_000
            replicas = tuple(Replica(*found) for found in connection.execute(_REPLICAS))
        alive = tuple(item for item in replicas if item.seen_at > row.now - SILENT_LEASES * self.lease)
        valid = row.owner != "" and row.expires_at >= row.now
        return FleetState(
            row.owner if valid else "", row.fence, not valid, row.expires_at, row.since, row.config_seq, row.now,
            row.now - middle, alive, row.schema,
        )  # fmt: skip

    def config_seq(self, *, reloaded: bool) -> int:
        """Return the number of this replica's configuration, in the order in which configurations came into use.

        reloaded: this replica loads the configuration now, on request: it gets a new number even if it was used before,
        because a roll-back is the newest configuration. A replica that only starts keeps the number of the latest one
        if that is the same.
        """
        with self._engine.begin() as connection:
            connection.execute(_LOCK_CONFIGURATIONS)
            latest = connection.execute(_LATEST).first()
            if latest is not None and latest.hash == self.member.config_hash:
                return int(latest.seq)
            if not reloaded:
                known = connection.execute(_KNOWN, {"hash": self.member.config_hash}).scalar()
                if known is not None:
                    return int(known)
            return int(connection.execute(_ADD_CONFIGURATION, {"hash": self.member.config_hash}).scalar_one())

    def take(self, config_seq: int) -> Fence | None:
        """Take the lease if it is free; None when another replica was faster.

        Raises SQLAlchemyError, and SchemaTooNewError when a newer version has migrated the database since this process
        started, and this version cannot use it.
        """
        values = {"name": SHARD, "owner": self.member.id, "lease": self.lease, "config_seq": config_seq}
        with self._engine.begin() as connection:
            row = connection.execute(_TAKE, values).first()
            if row is not None:  # a migration waits for the row
                verify_schema(schema_revision(connection) or "", shown(self._engine.url))
        return None if row is None else Fence(self, row.fence)

    def renew(self, fence: int) -> bool:
        """Renew the lease; False when another replica has taken it. Raises SQLAlchemyError."""
        with self._engine.begin() as connection:
            return self.renewed(connection, fence, writes=0) is not None

    def renewed(self, connection: Connection, fence: int, *, writes: int, limits: str = "") -> int | None:
        """Renew the lease within a transaction; None when another replica has taken it.

        Return the number of transactions that wrote.

        writes: those to add, 1 for one that writes more than the lease.
        limits: query of store.opening.limits if the transaction has no limits yet; both take one round trip.
        """
        values = {"name": SHARD, "owner": self.member.id, "fence": fence, "lease": self.lease, "writes": writes}
        statement = _LIMIT_AND_RENEW.replace("{limits}", limits) if limits else _RENEW
        row = connection.exec_driver_sql(statement, values).first()
        return None if row is None else int(row.writes)

    def release(self, fence: int) -> None:
        """Release the lease, so that another replica takes it at its next look. Raises SQLAlchemyError."""
        with self._engine.begin() as connection:
            connection.execute(_RELEASE, {"name": SHARD, "owner": self.member.id, "fence": fence})

    def leave(self) -> None:
        """Remove this replica, and those that are gone for a day. Raises SQLAlchemyError."""
        with self._engine.begin() as connection:
            connection.execute(_FORGET, {"id": self.member.id, "silence": 86_400_000})

    def close(self) -> None:
        """Close the connection."""
        self._engine.dispose()


class Fence:
    """Ownership of the database by a lease; see store.owning.Owner. number: incremented by each owner."""

    def __init__(self, leases: Leases, number: int) -> None:
        self._leases = leases
        self.number = number
        self.limits = ""  # of transactions that write, if they do not begin with them
        self.fenced = 0  # transactions that were refused
        self._lock = threading.Lock()
        self._committed = 0  # number of this replica's last commit

    def verify(self, connection: Connection) -> int:
        """Renew the lease as part of a transaction that writes, and return the transaction's number.

        Raises StoreBusyError when another replica has taken it, and StoreUncertainError until the next `alone` when the
        database has lost commits.
        """
        number = self._leases.renewed(connection, self.number, writes=1, limits=self.limits)
        if number is None:
            self.fenced += 1
            raise StoreBusyError(f"another replica has taken over from {self._leases.member.id}; nothing was written")
        if number <= self._committed:
            lost = self._committed - number + 1
            log.error("the database has lost commits", extra={"commits": lost})
            raise StoreUncertainError(
                f"the database has lost the last {lost} commits, as after a fail-over with asynchronous replication; "
                "the state is loaded again"
            )
        return number

    def committed(self, number: int) -> None:
        """Record the number of a transaction that was committed."""
        with self._lock:
            self._committed = max(self._committed, number)

    def alone(self, connection: Connection) -> None:
        """Wait for transactions of this replica that write, and block new ones; those of others can write nothing."""
        row = connection.execute(_BLOCK, {"name": SHARD}).first()
        if row is None or row.fence != self.number:
            raise StoreError(f"another replica has taken over from {self._leases.member.id}")
        with self._lock:
            self._committed = row.writes

    def release(self) -> None:
        """Do nothing: the fleet releases the lease once the couriers have stopped."""
