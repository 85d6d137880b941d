"""Fail-over of the database, poolers, clocks and updates, with real replicas."""

from __future__ import annotations

import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.support.bridge import drift_rules, whole_second
from tests.support.fleet import Fleet, breach, changed_rules, fleet, replica
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import Postgres, _as_user, binaries, postgres
from tests.support.processes import Program, free_port, kept_for_the_test, wait_until
from tests.support.servers import Prometheus

SECOND = 1000
LASTING = 600 * SECOND, 630 * SECOND  # a breach, which outlasts a test on a busy machine, and the values of its model


@pytest.fixture
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def ids(made: Fleet, pipeline: str) -> list[str]:
    """Return the ids of a pipeline's requests."""
    return [row[0] for row in made.rows("SELECT id FROM requests WHERE pipeline = %s", pipeline)]


def test_database_that_restarts_is_used_again(source: Prometheus, cluster: Postgres, webhook: KeyedReceiver) -> None:
    """kill -9 of the server while a model drifts: the fleet continues, and makes the one request."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(), hooks, cluster.database()) as made:
        wanted = breach(source, "restarted", *LASTING)
        cluster.program.kill()
        cluster.start()
        wait_until(lambda: wanted in webhook.taken, 120, "the request")
        made.owner()
        made.wait_slot(whole_second(1), 120)
        assert ids(made, "restarted") == [wanted]


def standby_of(cluster: Postgres, folder: Path) -> Program:
    """Return a hot standby of a cluster, not started yet."""
    data, port = folder / "standby", free_port()
    folder.chmod(0o777)
    command = [
        *_as_user(), str(binaries() / "pg_basebackup"), "-h", "127.0.0.1", "-p", str(cluster.port), "-U", "postgres",
        "-D", str(data), "-R", "-X", "stream", "--no-sync",
    ]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert made.returncode == 0, made.stderr
    program = Program(
        [
            *_as_user(), str(binaries() / "postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k",
            str(folder), "-c", "fsync=off", "-c", "max_connections=200",
        ],
        folder, "standby",
    )  # fmt: skip
    program.port = port  # type: ignore[attr-defined]
    return program


def test_fleet_follows_a_database_that_fails_over(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver
) -> None:
    """The primary is killed and its standby promoted: replicas with both hosts in their URL continue there."""
    folder = Path("/tmp") / f"standby-{free_port()}"
    folder.mkdir()
    address = cluster.database()
    name = address.rpartition("/")[2]
    standby = standby_of(cluster, folder)
    port = standby.port  # type: ignore[attr-defined]
    url = f"postgresql://postgres@/{name}?host=127.0.0.1:{cluster.port}&host=127.0.0.1:{port}"
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    promoted = Postgres(standby, port)
    with kept_for_the_test(standby), fleet(source.url, drift_rules(), hooks, address) as made:
        for item in made.replicas:
            item.kill()
        (made.folder / "database").write_text(url)
        standby.start()
        standby.wait_ready(promoted._answers)
        for item in made.replicas:
            item.start()
        made.owner()
        replayed = "SELECT count(*) FROM pg_stat_replication WHERE replay_lsn = sent_lsn"
        wait_until(lambda: made.rows(replayed) == [(1,)], 60, "the standby to follow")
        wanted = breach(source, "promoted", *LASTING)
        cluster.program.kill()
        command = [*_as_user(), str(binaries() / "pg_ctl"), "-D", str(folder / "standby"), "promote"]
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
        made.database = promoted.url(name)
        wait_until(lambda: wanted in webhook.taken, 180, "\n".join(item.program.log[-2000:] for item in made.replicas))
        made.owner()
        assert ids(made, "promoted") == [wanted]
    shutil.rmtree(folder, ignore_errors=True)


def pooler(cluster: Postgres, name: str) -> Program:
    """Return pgbouncer in transaction mode in front of a database, not started yet."""
    folder, port = Path("/tmp") / f"pgbouncer-{free_port()}", free_port()
    folder.mkdir(mode=0o777)
    folder.chmod(0o777)
    (folder / "users").write_text('"postgres" ""\n')
    (folder / "pgbouncer.ini").write_text(
        f"[databases]\n{name} = host=127.0.0.1 port={cluster.port}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nauth_type = trust\nauth_file = {folder}/users\npool_mode = transaction\n"
        "max_client_conn = 200\ndefault_pool_size = 20\nunix_socket_dir =\n"
    )
    program = Program([*_as_user(), "pgbouncer", str(folder / "pgbouncer.ini")], folder, "pgbouncer")
    program.port = port  # type: ignore[attr-defined]
    return program


def test_fleet_works_behind_a_pooler(source: Prometheus, cluster: Postgres, webhook: KeyedReceiver) -> None:
    """Through pgbouncer in transaction mode: a request, and a take-over."""
    direct = cluster.database()
    name = direct.rpartition("/")[2]
    program = pooler(cluster, name)
    port = program.port  # type: ignore[attr-defined]
    pooled = Postgres(program, port)
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with kept_for_the_test(program):
        program.start()
        program.wait_ready(lambda: answers(pooled.url(name)))
        with fleet(source.url, drift_rules(), hooks, pooled.url(name)) as made:
            first = breach(source, "pooled-1", *LASTING)
            wait_until(lambda: first in webhook.taken, 120, made.replicas[0].program.log[-3000:])
            made.owner().kill()
            made.owner()
            second = breach(source, "pooled-2", *LASTING)
            wait_until(lambda: second in webhook.taken, 120, made.replicas[1].program.log[-3000:])


def answers(url: str) -> bool:
    """Return whether a database accepts connections."""
    try:
        psycopg.connect(url, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def skewed(skew: str) -> dict[str, str]:
    """Return the environment of a process whose wall clock is off."""
    program = shutil.which("faketime")
    assert program, "install faketime"
    (library,) = (Path(program).resolve().parents[1] / "lib").glob("*/faketime/libfaketimeMT.so.1")
    return {"LD_PRELOAD": str(library), "FAKETIME": skew, "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


@pytest.mark.parametrize("skew", ["-30s", "+30s", "+0 x2"])
def test_replica_with_a_wrong_clock_evaluates_the_same_slots(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver, skew: str
) -> None:
    """After a take-over by a replica whose clock is off, slots are those of the database's time, none of the future."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(), hooks, cluster.database(), 1) as made:
        wrong = replica(made.folder, "wrong", env=skewed(skew))
        made.replicas.append(wrong)
        wrong.start()
        made.replicas[0].kill()
        wait_until(lambda: made.lease()[0] == "wrong", 60, wrong.program.log[-2000:])
        after = made.slot()
        wanted = breach(source, {"-30s": "behind", "+30s": "ahead", "+0 x2": "fast"}[skew], *LASTING)
        wait_until(lambda: wanted in webhook.taken, 120, wrong.program.log[-3000:])
        made.wait_slot(after + 5 * SECOND)
        assert made.slot() <= whole_second(1)
        least = 1 if "x2" in skew else 25  # at twice the rate it grows with each second
        assert abs(wrong.metric("retrain_bridge_fleet_clock_offset_seconds")) > least


def test_older_configuration_does_not_end_the_episodes_of_a_newer_one(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver
) -> None:
    """A rolling update: the new replica becomes the owner, and the old one waits while the new one lives."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(), hooks, cluster.database(), 2, lease=15.0) as made:
        new = replica(made.folder, "new", config=changed_rules(made), lease=15.0)  # a busy machine restarts it in time
        made.replicas.append(new)
        new.start()
        made.replicas[0].send(signal.SIGTERM)
        wait_until(lambda: made.lease()[0] == "new", 60, new.program.log[-2000:])
        wait_until(lambda: made.rows("SELECT 1 FROM config_changes"), 60, "the change of the configuration")
        ((event, who, diff),) = made.rows("SELECT event, replica, diff FROM config_changes")
        assert (event, who, "+++ new.yml" in diff, '"Second"' in diff) == ("start", "new", True, True)
        assert made.replicas[1].metric("retrain_bridge_fleet_config_seq") < new.metric(
            "retrain_bridge_fleet_config_seq"
        )
        breach(source, "updated", *LASTING)
        firing = "SELECT count(*) FROM alerts WHERE rule = 'Second' AND pipeline = 'updated'"
        wait_until(lambda: made.rows(firing) == [(1,)], 60, "the new rule's episode")
        _, fence = made.lease()
        new.kill()  # the old replica waits for two leases more; the new one is back before
        new.program.start()
        wait_until(lambda: made.lease()[0] == "new" and made.lease()[1] > fence, 120, new.program.log[-2000:])
        made.wait_slot(whole_second(1))
        assert made.rows(firing) == [(1,)]
