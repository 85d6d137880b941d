"""Rolling update to a release with a newer schema, and back, with real replicas.

The old release is the present code, unchanged. The next release is the same code with one more migration
(tests.support.release), so the old replicas meet a schema that they do not know.
"""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.store.opening import revisions
from tests.support.bridge import drift_rules, whole_second
from tests.support.fleet import Fleet, Replica, breach, changed_rules, fleet, replica
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until
from tests.support.release import RELEASE, next_migrations
from tests.support.servers import Prometheus, http

SECOND = 1000
LEASE = 6.0  # seconds


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def schema(made: Fleet) -> str:
    """Return the revision of the database."""
    return str(made.rows("SELECT version_num FROM alembic_version")[0][0])


def next_release(made: Fleet, name: str, migrations: Path, config: str = "bridge.yml") -> Replica:
    """Return a replica of the next release, not started yet."""
    program = ("tests.support.release", str(migrations))
    made.replicas.append(replica(made.folder, name, config=config, lease=LEASE, program=program))
    return made.replicas[-1]


def wait_owner(made: Fleet, item: Replica) -> None:
    """Wait until a replica is the owner, and has committed a slot that began since."""
    wait_until(lambda: made.lease()[0] == item.name, 60, f"{item.name} as the owner\n{item.program.log[-2000:]}")
    made.wait_slot(whole_second(1))


def firing(made: Fleet, rule: str) -> int:
    """Return the number of models for which a rule fires."""
    return int(made.rows("SELECT count(*) FROM alerts WHERE rule = %s AND state > 1", rule)[0][0])


def test_update_and_roll_back_keep_episodes_and_ids(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver, tmp_path: Path
) -> None:
    """Old replicas evaluate on the newer schema, before the update and after the roll-back; each breach has one id."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    migrations, revision = next_migrations(tmp_path)
    with fleet(source.url, drift_rules(), hooks, cluster.database(), 1, LEASE) as made:
        (first,) = made.replicas
        wanted = [breach(source, "before", 280 * SECOND, 280 * SECOND)]
        wait_until(lambda: wanted[0] in webhook.taken, 60, "a request of the old release")

        # The first new replica migrates; the old owner continues.
        new = next_release(made, "new", migrations)
        new.start()
        assert schema(made) == revision != revisions()[-1]
        new.send(signal.SIGSTOP)  # on a slow machine it could take over
        wait_owner(made, first)
        wanted.append(breach(source, "old-owner", 280 * SECOND, 280 * SECOND))
        wait_until(lambda: wanted[1] in webhook.taken, 60, "a request of the old release on the newer schema")

        # An old replica starts on the newer schema, and takes over.
        second = replica(made.folder, "r2", lease=LEASE)
        made.replicas.append(second)
        second.start()
        assert f"schema={revision} supported={revisions()[-1]}" in second.program.log
        first.program.terminate()
        wait_owner(made, second)

        # The update ends with changed rules.
        new.kill()
        last = next_release(made, "last", migrations, changed_rules(made))
        last.start()
        second.program.terminate()
        wait_owner(made, last)
        assert made.rows("SELECT release FROM replicas WHERE id = 'last'") == [(RELEASE,)]
        wait_until(lambda: firing(made, "Second") == 2, 60, "the episodes of the new rule")

        # The roll-back: the old release with the old rules, which ends the episodes of the new one.
        first.start()
        last.program.terminate()
        wait_owner(made, first)
        assert firing(made, "Second") == 0
        assert firing(made, "Drifted") == 2
        wanted.append(breach(source, "after", 280 * SECOND, 280 * SECOND))
        wait_until(lambda: wanted[2] in webhook.taken, 60, "a request after the roll-back")
        made_by_rule = dict(made.rows("SELECT rule, count(*) FROM requests GROUP BY 1"))
        found = [row[0] for row in made.rows("SELECT id FROM requests WHERE rule = 'Drifted' ORDER BY triggered_at")]
        print(json.dumps({"requests": made_by_rule, "fence": made.lease()[1], "receiver": sum(webhook.taken.values())}))
        assert found == wanted
        assert set(webhook.taken) >= set(wanted)
        assert schema(made) == revision


def test_schema_that_the_old_release_cannot_use_ends_its_ownership(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver, tmp_path: Path
) -> None:
    """The migration raises the fence: old replicas write nothing, take nothing, and do not start again."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    migrations, revision = next_migrations(tmp_path, "0101")
    with fleet(source.url, drift_rules(only="before-generation"), hooks, cluster.database(), 2, LEASE) as made:
        old, other = made.replicas
        first = breach(source, "before-generation", 280 * SECOND, 280 * SECOND)
        wait_until(lambda: first in webhook.taken, 60, "a request of the old release")
        _, fence = made.lease()
        new = next_release(made, "new", migrations)
        new.start()
        assert schema(made) == revision
        wait_owner(made, new)
        assert made.lease()[1] > fence
        line = f"has schema {revision}, this version supports up to {revisions()[-1]}"
        for item in (old, other):
            wait_until(lambda item=item: line in item.program.log, 60, item.program.log)  # type: ignore[misc]
            listed = f"{item.url}/api/v1/status/fleet"  # of the owner, once it is known
            wait_until(lambda listed=listed: http("GET", listed)[0] == 200, 60, item.program.log)  # type: ignore[misc]

        # Nobody takes over from it, and it continues where it was.
        new.kill()
        wait_until(lambda: made.lease()[0] == "", 60, "the end of the lease")
        _, fence = made.lease()
        code = old.program.terminate()
        assert code == 0
        old.program.start()
        assert old.program.process is not None
        assert old.program.process.wait(60) == 1
        assert other.program.log.count(line) == 1
        assert made.lease() == ("", fence)
        new.start()
        wait_owner(made, new)
        assert made.rows("SELECT id FROM requests") == [(first,)]
        assert made.rows("SELECT count(*) FROM deliveries") == [(1,)]
