"""Benchmark of the fence of a fleet: what renewing the lease adds to the transaction of a tick, on PostgreSQL.

    python -m benchmarks.fence [--ticks 2000] [--blocks 6]

Three stores on databases of one server commit the same small ticks, in alternating blocks: the owner of a fleet, a
single process, which looks at its session lock instead, and a store that verifies nothing. Printed are medians and
tenth percentiles, which other load disturbs less, and what the fleet adds to the bare store. The last line is one JSON
object, in ms.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from sqlalchemy import Connection

from bridge.ports import TickChanges
from bridge.store.leases import Fence, Leases, Member
from bridge.store.opening import migrate, parse_url, server_engine
from bridge.store.sql import SqlStore
from tests.support.postgres import postgres

LEASE = 15_000  # ms


class Unfenced(Fence):
    """Owner that verifies nothing."""

    def verify(self, connection: Connection) -> int:
        """Limit the waits of the transaction, and return the number of no transaction."""
        connection.exec_driver_sql(self.limits)
        return 0


def fleet_store(url: str, *, fenced: bool) -> SqlStore:
    """Return the store of a fleet's owner, or one that is the same but for the fence."""
    engine = server_engine(parse_url(url), pooled=False)
    migrate(engine, "benchmark")
    leases = Leases(engine, Member("r1", "http://r1", "1", "a"), LEASE)
    fence = leases.take(0)
    assert fence is not None
    return SqlStore.open_fleet(url, fence if fenced else Unfenced(leases, fence.number), LEASE // 2)


def timed(store: SqlStore, first: int, ticks: int) -> list[float]:
    """Return the wall time of each commit, in ms."""
    found = []
    for slot in range(first, first + ticks):
        began = time.perf_counter()
        store.commit(TickChanges("serving", slot, at=slot))
        found.append((time.perf_counter() - began) * 1000)
    return found


def main() -> None:
    """Print the medians and their difference."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ticks", type=int, default=2000)
    parser.add_argument("--blocks", type=int, default=6)
    arguments = parser.parse_args()
    with postgres() as server:
        stores = {
            "bare": fleet_store(server.database(), fenced=False),
            "single": SqlStore.open_url(server.database()),
            "fleet": fleet_store(server.database(), fenced=True),
        }
        times: dict[str, list[float]] = {name: [] for name in stores}
        for block in range(arguments.blocks):
            for name, store in stores.items():
                times[name] += timed(store, 1 + block * arguments.ticks, arguments.ticks)
        for store in stores.values():
            store.close()
    found: dict[str, float] = {}
    for place, share in (("p10", 10), ("median", 50)):
        by_store = {name: statistics.quantiles(values, n=100)[share - 1] for name, values in times.items()}
        found |= {f"{name} {place}": round(value, 3) for name, value in by_store.items()}
        found[f"fence {place}"] = round(by_store["fleet"] - by_store["bare"], 3)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
