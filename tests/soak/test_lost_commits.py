"""Loss of the last commits: PostgreSQL fails over to a standby that has not received them."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.fleet.test_failover import ids, standby_of
from tests.support.bridge import REMOTE_WRITE, drift_rules, whole_second
from tests.support.fleet import breach, fleet, replica
from tests.support.keyed import TAKE, KeyedReceiver
from tests.support.postgres import Postgres, _as_user, binaries, postgres
from tests.support.processes import free_port, kept_for_the_test, wait_until
from tests.support.receiver import Behaviour, Received, Reply
from tests.support.servers import Prometheus, prometheus

LEASE = 30.0  # seconds: the owner keeps its lease over the fail-over, and with it what it has in memory


@pytest.fixture
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def stop_replication(standby: str, primary: str) -> None:
    """Let a standby receive nothing more."""
    with psycopg.connect(standby, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET primary_conninfo = ''")
        connection.execute("SELECT pg_reload_conf()")
    with psycopg.connect(primary, autocommit=True) as connection:
        senders = "SELECT count(*) FROM pg_stat_replication"
        wait_until(lambda: connection.execute(senders).fetchone() == (0,), 60, "the end of the replication")


def test_request_whose_commit_is_lost_is_made_again_under_its_id(source: Prometheus, cluster: Postgres) -> None:
    """One was delivered, and arrives again with its id; one was not, and is delivered after all."""
    down = ["unsent"]

    def choose(request: Received) -> Behaviour:
        return Reply(503) if any(name.encode() in request.body for name in down) else TAKE

    folder = Path("/tmp") / f"standby-{free_port()}"
    folder.mkdir()
    address = cluster.database()
    name = address.rpartition("/")[2]
    standby = standby_of(cluster, folder)
    promoted = Postgres(standby, standby.port)  # type: ignore[attr-defined]
    url = f"postgresql://postgres@/{name}?host=127.0.0.1:{cluster.port}&host=127.0.0.1:{promoted.port}"
    with KeyedReceiver(choose) as webhook, kept_for_the_test(standby):
        standby.start()
        standby.wait_ready(promoted._answers)
        hooks = {"webhook_configs": [{"url": webhook.url}]}
        with fleet(source.url, drift_rules(), hooks, address, 0) as made:
            (made.folder / "database").write_text(url)
            made.replicas.append(replica(made.folder, "r1", lease=LEASE))
            made.replicas[0].start()
            made.owner()
            followed = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = sent_lsn"
            made.wait_slot(whole_second(0))
            wait_until(lambda: made.rows(followed) == [(1,)], 60, "the standby to follow")
            stop_replication(promoted.url(name), address)
            fence = made.lease()
            sent, unsent = (breach(source, name, 120_000, 150_000) for name in ("sent", "unsent"))
            wait_until(lambda: sent in webhook.taken, 60, "the request that is delivered")
            wait_until(lambda: any(post.key == unsent for post in webhook.posts), 60, "the request that is refused")
            cluster.program.kill()
            command = [*_as_user(), str(binaries() / "pg_ctl"), "-D", str(folder / "standby"), "promote"]
            assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
            made.database = promoted.url(name)
            assert ids(made, "sent") == []
            down.clear()
            log = made.replicas[0].program
            wait_until(lambda: unsent in webhook.taken, 90, f"the request that was lost\n{log.log[-3000:]}")
            wait_until(lambda: webhook.taken[sent] == 2, 90, f"the repeat\n{log.log[-3000:]}")
            assert made.lease() == fence
            assert (ids(made, "sent"), ids(made, "unsent")) == ([sent], [unsent])
            assert set(webhook.taken) == {sent, unsent}
            assert "the database has lost commits" in log.log
    shutil.rmtree(folder, ignore_errors=True)
