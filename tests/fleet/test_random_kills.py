"""kill -9 and SIGSTOP of random replicas of a fleet while requests flow: none lost, none under a second id.

FLEET_SEED repeats a run, FLEET_KILLS (20) sets its length; both are printed. scripts/soak fleet makes a long one, sets
the lease (FLEET_LEASE), and bounds the time without an owner by two leases.
"""

from __future__ import annotations

import json
import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import psycopg
import pytest

from tests.crash.test_random_kills import pass_time
from tests.support import flow as flows
from tests.support.bridge import REMOTE_WRITE, whole_second, write_script
from tests.support.fleet import Fleet, Replica, fleet
from tests.support.flow import RULES, Flow
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import postgres
from tests.support.processes import wait_until
from tests.support.servers import Prometheus, prometheus

KILLS = int(os.environ.get("FLEET_KILLS", "20"))
LEASE = float(os.environ.get("FLEET_LEASE", "3"))  # seconds
BOUNDED = "FLEET_LEASE" in os.environ  # on a machine with processors to spare, no slot is without an owner for long


@dataclass
class Watch:
    """Watcher of the lease row.

    owners: (fence, owner) in the order seen.
    longest: seconds without a valid lease.
    slowest: seconds from an owner's last renewal to the next owner's take-over, the longest of all take-overs.
    """

    database: str
    owners: list[tuple[int, str]] = field(default_factory=list)
    longest: float = 0.0
    slowest: float = 0.0
    _stop: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Look every 50 ms until stopped."""
        valid = "expires_at >= EXTRACT(EPOCH FROM clock_timestamp()) * 1000"
        query = f"SELECT fence, owner, {valid}, expires_at, since FROM leases"
        valid_at, renewed_at = time.monotonic(), 0.0
        with psycopg.connect(self.database, autocommit=True) as connection:
            while not self._stop.wait(0.05):
                fence, owner, holds, expires_at, since = connection.execute(query).fetchone() or (0, "", False, 0, 0)
                now = time.monotonic()
                if holds and owner:
                    self.longest = max(self.longest, now - valid_at)
                    valid_at = now
                    if not self.owners or self.owners[-1] != (fence, owner):
                        if self.owners:
                            self.slowest = max(self.slowest, since / 1000 - renewed_at)
                        self.owners.append((fence, owner))
                    renewed_at = expires_at / 1000 - LEASE

    def stop(self) -> None:
        """End the watch."""
        self._stop.set()


def victim(made: Fleet, rng: random.Random) -> Replica:
    """Return the owner three times out of four, otherwise any replica."""
    name = made.lease()[0]
    owner = [item for item in made.replicas if item.name == name]
    return owner[0] if owner and rng.random() < 0.75 else rng.choice(made.replicas)


def hurt(made: Fleet, rng: random.Random) -> str:
    """Kill or suspend a replica at a random moment, and bring it back; return what was done.

    One at a time: two replicas can always take over, so that the bound of a take-over applies.
    """
    pass_time(rng.uniform(0, 1.2 * LEASE))
    target = victim(made, rng)
    if rng.random() < 0.5:
        target.kill()
        pass_time(rng.uniform(0, LEASE))
        target.start()
        return "killed"
    target.send(signal.SIGSTOP)
    pass_time(rng.uniform(0.1, 2.5 * LEASE))
    target.send(signal.SIGCONT)
    wait_until(target.ready, 60, f"{target.name} after SIGCONT")
    return "suspended"


def prepared(source: Prometheus, rng: random.Random) -> Flow:
    """Write a script of breaches that lasts about as long as the kills."""
    script = flows.flow(rng, whole_second(10), round(KILLS * 1.8 * LEASE) + 10)
    for rule, timing in RULES.items():
        write_script(source, script.samples(rule), timing.metric)
    return script


@pytest.mark.timeout(KILLS * 60 + 900)
def test_fleet_hurt_at_random_moments_makes_each_request_once() -> None:
    """The expected episodes are known before the start; the fences of the owners ascend."""
    seed = int(os.environ.get("FLEET_SEED") or random.randrange(2**32))
    print(f"FLEET_SEED={seed} FLEET_KILLS={KILLS}")
    rng, began = random.Random(seed), time.monotonic()
    with (
        postgres() as cluster,
        prometheus(flags=[REMOTE_WRITE]) as source,
        KeyedReceiver() as receiver,
    ):
        hooks = {"webhook_configs": [{"url": receiver.url, "timeout": "5s"}]}
        with fleet(source.url, flows.rules(), hooks, cluster.database(), 3, LEASE) as made:
            watch = Watch(made.database)
            thread = threading.Thread(target=watch.run)
            thread.start()
            try:
                script = prepared(source, rng)
                done = Counter(hurt(made, rng) for _ in range(KILLS))
                groups = {timing.group for timing in RULES.values()}

                def ended() -> bool:
                    return all(made.slot(name) >= script.ends for name in groups)

                wait_until(ended, 300, lambda: f"the script's end {script.ends}\n{made.state()}")
                pending = "SELECT * FROM deliveries WHERE state NOT IN ('delivered', 'dead')"
                wait_until(lambda: not made.rows(pending), 300, f"all deliveries; the lease: {made.lease()}")
            finally:
                watch.stop()
                thread.join(30)
            found = {row[0]: row[1] for row in made.rows("SELECT id, state FROM requests")}
            missed = {item for item, state in found.items() if state == "missed"}
            expected = {episode.id() for episode in script.expected()}
            keys = {key.removesuffix("-resolved") for key in receiver.taken}
            fences = [fence for fence, _ in watch.owners]
            print(json.dumps({
                "kills": dict(done), "episodes": len(expected), "requests": len(found), "missed": len(missed),
                "lost": len(expected - set(found)), "second ids": len(set(found) - expected),
                "owners": len(watch.owners), "longest without a valid lease, leases": round(watch.longest / LEASE, 2),
                "slowest take-over, leases": round(watch.slowest / LEASE, 2),
                "seconds": round(time.monotonic() - began),
            }))  # fmt: skip
            assert set(found) == expected
            assert keys == expected - missed
            if BOUNDED:
                assert max(watch.longest, watch.slowest) <= 2 * LEASE
            assert fences == sorted(set(fences))
            assert len(set(fences)) > KILLS / 4
            deliveries = made.rows(
                "SELECT request_id, kind, count(*) FROM deliveries GROUP BY 1, 2 HAVING count(*) > 1"
            )
            assert deliveries == []
