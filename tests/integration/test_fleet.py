"""Tests of fail-over: several real replicas on one PostgreSQL database."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import requests

from tests.support.bridge import REMOTE_WRITE, drift_rules, whole_second
from tests.support.fleet import LEASE, Fleet, Replica, breach, fleet
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until
from tests.support.servers import Prometheus, prometheus

SECOND = 1000


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[KeyedReceiver]:
    with KeyedReceiver() as receiver:
        yield receiver


@pytest.fixture
def pair(source: Prometheus, cluster: Postgres, webhook: KeyedReceiver) -> Iterator[Fleet]:
    """Return two replicas, of which the first is the owner."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(), hooks, cluster.database()) as made:
        yield made


def test_standby_takes_over_from_a_killed_owner(pair: Fleet, source: Prometheus, webhook: KeyedReceiver) -> None:
    """The request of an episode that began under the old owner is sent once, by the new one if it must be."""
    first, (other,) = pair.owner(), pair.standbys()
    wanted = breach(source, "killed", 600 * SECOND, 630 * SECOND)
    _, fence = pair.lease()
    first.kill()
    second = pair.owner()
    assert second is other
    assert pair.lease()[1] > fence
    wait_until(lambda: wanted in webhook.taken, 60, second.program.log[-3000:])
    pair.wait_slot(whole_second(1))
    assert [row[0] for row in pair.rows("SELECT id FROM requests WHERE pipeline = 'killed'")] == [wanted]


def test_stopped_owner_writes_nothing_after_it_wakes(pair: Fleet, source: Prometheus, webhook: KeyedReceiver) -> None:
    """SIGSTOP for longer than the lease: the other takes over; the woken one finds its fence and becomes a standby."""
    first = pair.owner()
    _, fence = pair.lease()
    first.send(signal.SIGSTOP)
    wait_until(lambda: pair.lease()[1] > fence, 4 * LEASE + 30, "the take-over")
    wanted = breach(source, "stopped", 600 * SECOND, 630 * SECOND)
    wait_until(lambda: wanted in webhook.taken, 60, "the request")
    first.send(signal.SIGCONT)
    wait_until(lambda: "no longer the owner" in first.program.log, 60, "the loss")
    pair.wait_slot(whole_second(2))
    pair.owner()
    assert [row[0] for row in pair.rows("SELECT id FROM requests WHERE pipeline = 'stopped'")] == [wanted]


def test_terminated_owner_hands_over_at_once(source: Prometheus, cluster: Postgres) -> None:
    """SIGTERM gives the lease up: the other one does not wait for its end."""
    with fleet(source.url, drift_rules(), {"log_configs": [{}]}, cluster.database(), measured=True) as pair:
        first, (other,) = pair.owner(), pair.standbys()
        first.send(signal.SIGTERM)
        wait_until(lambda: not first.program.running, 30, "the end")
        assert first.program.process is not None
        assert first.program.process.returncode == 0
        assert pair.owner() is other
        assert [row[0] for row in pair.rows("SELECT id FROM replicas")] == [other.name]


def answer(method: str, url: str, body: object = None) -> requests.Response:
    """Ask until there is an owner to answer: a busy machine may change it."""

    def answered() -> list[requests.Response]:
        found = requests.request(method, url, json=body, timeout=60)
        return [] if found.status_code == 503 else [found]

    return wait_until(answered, what=f"an answer of {url}")[0]


def test_standby_serves_page_api_and_acts(pair: Fleet, source: Prometheus, webhook: KeyedReceiver) -> None:
    """Every request to a standby is answered by the owner: pages, API, and a person's act."""
    (standby,) = pair.standbys()
    wanted = breach(source, "forwarded", 600 * SECOND, 630 * SECOND)
    wait_until(lambda: wanted in webhook.taken, 60, "the request")
    page = answer("GET", f"{standby.url}/")
    assert page.status_code == 200
    assert "forwarded" in page.text
    assert answer("GET", f"{standby.url}/api/v1/requests/{wanted}").json()["data"]["id"] == wanted
    assert answer("GET", f"{standby.url}/api/v1/requests/none").status_code == 404
    done = answer("POST", f"{standby.url}/api/v1/pause", {"project": "shop", "duration": "1h", "by": "ada"})
    assert done.status_code == 200, done.text
    assert pair.rows("SELECT project FROM pauses") == [("shop",)]
    style = answer("GET", f"{standby.url}/static/style.css")
    assert style.headers["Content-Type"].startswith("text/css")


def test_standby_without_owner_reports_it(pair: Fleet) -> None:
    """503 with Retry-After while the owner is gone and its lease lasts; health and readiness stay green."""
    (standby,) = pair.standbys()
    pair.owner().kill()
    found = requests.get(f"{standby.url}/api/v1/requests", timeout=30)
    if found.status_code != 200:  # else it has taken over already
        assert found.status_code == 503
        assert found.headers["Retry-After"] == "5"
        assert "another replica takes over" in found.json()["detail"]
    assert requests.get(f"{standby.url}/-/ready", timeout=30).status_code == 200


def test_status_page_and_api_list_the_replicas(pair: Fleet) -> None:
    """At every replica: who is the owner, since when, with which configuration."""
    for item in pair.replicas:

        def are_known(item: Replica = item) -> bool:
            owner = pair.owner().name
            data = answer("GET", f"{item.url}/api/v1/status/fleet").json()["data"]
            roles = {one["id"]: one["owner"] for one in data["replicas"]}
            return (data["owner"], roles) == (owner, {one.name: one.name == owner for one in pair.replicas})

        wait_until(are_known, 30, "both replicas")
        page = answer("GET", f"{item.url}/status").text
        assert 'id="fleet"' in page
        assert "standby" in page
