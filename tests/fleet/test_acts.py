"""People's acts at a standby: applied exactly once, whatever becomes of the owner and of its answer."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import pytest
import requests

from tests.support.bridge import drift_rules
from tests.support.fleet import Fleet, Replica, breach, fleet, replica
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until
from tests.support.servers import Prometheus

SECOND = 1000
LEASE = 15.0  # seconds; a busy machine renews in time while another replica starts
Json = dict[str, Any]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


class Front:
    """Reverse proxy before a replica. It drops the next answers to POST: `cut` has one callback for each of them.

    A callback is called once the replica has answered, so that the act is committed.
    """

    def __init__(self) -> None:
        self.target = ""
        self.cut: list[Callable[[], None]] = []
        front = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                front.forward(self)

            do_POST = do_GET

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def forward(self, call: BaseHTTPRequestHandler) -> None:
        """Forward a request, and its answer unless it is to be dropped."""
        body = call.rfile.read(int(call.headers.get("Content-Length", "0")))
        try:
            answer = requests.request(
                call.command, self.target + call.path, headers=dict(call.headers), data=body, timeout=60,
                allow_redirects=False,
            )  # fmt: skip
        except requests.RequestException:
            return
        if call.command == "POST" and self.cut:
            self.cut.pop(0)()
            return
        call.send_response(answer.status_code)
        call.send_header("Content-Type", answer.headers.get("Content-Type", ""))
        call.send_header("Content-Length", str(len(answer.content)))
        call.end_headers()
        call.wfile.write(answer.content)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def front() -> Iterator[Front]:
    with Front() as made:
        yield made


def held(made: Fleet, source: Prometheus, pipeline: str) -> str:
    """Return the id of a request that awaits approval."""
    wanted = breach(source, pipeline, 600 * SECOND, 630 * SECOND)
    waiting = "SELECT count(*) FROM requests WHERE id = %s AND state = 'awaiting_approval'"
    wait_until(lambda: made.rows(waiting, wanted) == [(1,)], 60, "the request")
    return wanted


def started(made: Fleet, front: Front) -> tuple[Replica, Replica]:
    """Start an owner that others reach through `front`, and a standby."""
    owner = replica(made.folder, "owner", flags=[f"--fleet.advertise-address={front.url}"], lease=LEASE)
    standby = replica(made.folder, "standby", lease=LEASE)
    front.target = owner.url
    for item in (owner, standby):
        made.replicas.append(item)
        item.start()
        assert made.owner() is owner
    return owner, standby


def post(at: Replica, path: str, body: Json, key: str = "") -> requests.Response:
    """Send one act."""
    headers = {"Idempotency-Key": key} if key else {}
    return requests.post(f"{at.url}/api/v1/{path}", json=body, headers=headers, timeout=120)


def approved_once(made: Fleet, wanted: str) -> None:
    """Check that a request has one approval, one delivery and one decision of it."""
    acts = made.rows("SELECT json_array_length(acts::json) FROM requests WHERE id = %s", wanted)
    assert acts == [(1,)]
    decided = "SELECT count(*) FROM decisions WHERE request_id = %s AND reason LIKE 'approved by %%'"
    assert made.rows(decided, wanted) == [(1,)]
    assert made.rows("SELECT count(*) FROM deliveries WHERE request_id = %s AND kind = 'firing'", wanted) == [(1,)]


BY_HAND = {"project": "shop", "version": "1", "reason": "fresh labels", "force": True}


def test_act_whose_answer_is_cut_is_applied_once(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver, front: Front
) -> None:
    """The owner has committed; the standby repeats the call, and so does the caller: one act, and the first outcome."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(approval="required"), hooks, cluster.database(), 0) as made:
        owner, standby = started(made, front)
        wanted = held(made, source, "cut")
        front.cut = [lambda: None]
        first = post(standby, f"requests/{wanted}/approve", {}, "k1")
        assert first.status_code == 200, first.text
        assert first.json()["data"]["id"] == wanted
        assert front.cut == []
        for at in (standby, owner):
            again = post(at, f"requests/{wanted}/approve", {}, "k1")
            assert (again.status_code, again.json()["data"]["id"]) == (200, wanted)
        assert post(standby, f"requests/{wanted}/approve", {}).status_code == 409
        approved_once(made, wanted)
        wait_until(lambda: wanted in webhook.taken, 60, "the delivery")
        assert webhook.taken[wanted] == 1
        front.cut = [lambda: None]
        made_by_hand = post(standby, "requests", {**BY_HAND, "pipeline": "cut-by-hand"})
        assert made_by_hand.status_code == 200, made_by_hand.text
        by_hand = made.rows("SELECT id FROM requests WHERE pipeline = 'cut-by-hand'")
        assert by_hand == [(made_by_hand.json()["data"]["id"],)]


def test_act_of_an_owner_killed_before_its_answer_is_applied_once(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver, front: Front
) -> None:
    """Killed between its commit and its answer: the standby takes over, and answers the call itself."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(approval="required"), hooks, cluster.database(), 0) as made:
        owner, standby = started(made, front)
        wanted = held(made, source, "killed")
        front.cut = [owner.kill]
        answer = post(standby, f"requests/{wanted}/approve", {})
        assert answer.status_code == 200, answer.text
        assert not owner.program.running
        assert made.owner() is standby
        approved_once(made, wanted)


def test_act_while_the_owner_is_killed_is_applied_once(
    source: Prometheus, cluster: Postgres, webhook: KeyedReceiver
) -> None:
    """At any moment of the call: the one answer is that of the next owner if it must be."""
    hooks = {"webhook_configs": [{"url": webhook.url}]}
    with fleet(source.url, drift_rules(approval="required"), hooks, cluster.database()) as made:
        wanted = held(made, source, "approved")
        owner, (standby,) = made.owner(), made.standbys()
        killer = threading.Thread(target=owner.kill)
        killer.start()
        answer = post(standby, f"requests/{wanted}/approve", {})
        killer.join(30)
        assert answer.status_code == 200, answer.text
        approved_once(made, wanted)
