"""COMMITs of unknown outcome, on a real PostgreSQL behind a faulty proxy: results equal those without faults."""

from __future__ import annotations

import contextlib
import random
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import psycopg
import pytest
from msgspec import structs

from bridge.domain.errors import StoreBusyError, StoreError, StoreUncertainError
from bridge.domain.times import SECOND
from bridge.engine.delivery.breaker import DeliverySettings
from bridge.engine.delivery.courier import Courier
from bridge.ports import (
    AttemptReport,
    DecisionFilter,
    Delivery,
    DeliveryState,
    Kind,
    Notification,
    Result,
    Run,
    RunState,
    Store,
    TickChanges,
)
from bridge.store.memory import MemoryStore
from bridge.store.sql import SqlStore
from tests.support.cutting_proxy import AFTER, BEFORE, PASS, RACING, CuttingProxy, cutting_proxy
from tests.support.postgres import Postgres, postgres
from tests.support.store_records import record_of
from tests.support.world import A, B, C, FixedRoutes, World, group, rule

PLACE = "team/coordinator/0"
SLOTS = 20
T = TypeVar("T")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


def through(proxy: CuttingProxy, url: str) -> str:
    return re.sub(r":\d+/", f":{proxy.port}/", url)


class Taking:
    """Receiver that accepts everything."""

    integration = "fake"
    sends_resolved = False
    reports_status = True

    def __init__(self) -> None:
        self.ids: list[str] = []

    def send(self, notification: Notification, now: int) -> Delivery:
        self.ids.append(notification.request.id)
        return Delivery(Result.DELIVERED, status=202, reference=f"run-{notification.request.id}")

    def close(self) -> None:
        pass


def stubborn(act: Callable[[], T]) -> T:
    """Repeat a failed call, as a scheduler, a courier's thread or an operator does."""
    for _ in range(50):
        try:
            return act()
        except StoreError:
            continue
    raise AssertionError("the store never worked")


def lived(
    store: Store, seed: int, begins: Callable[[], None] = lambda: None
) -> tuple[tuple[Sequence[object], Sequence[object]], list[str], World]:
    """Run twenty slots with ticks, deliveries, coordinators and operators; return requests, decisions, deliveries."""
    rng = random.Random(seed)
    rules = group(
        rule("Drifted", for_=10 * SECOND), rule("Careful", query="errors", limit=0.5, approval=True, cooldown=20_000)
    )
    world, receiver = World(rules, store=store), Taking()
    begins()
    courier = Courier(
        PLACE, receiver, store, "w", DeliverySettings(), lambda _: None, world.commands.settled, random.Random(1)
    )
    for _ in range(SLOTS):
        for signal in ("drift", "errors"):
            world.say({model: rng.choice([0.1, 0.9]) for model in (A, B, C)}, signal=signal)
        world.now += world.group.interval
        stubborn(lambda: world.engine.evaluate("g", world.now))
        deliver(courier, world)
        act(world, rng)
    for _ in range(5):  # leases of interrupted claims expire, also of those that are interrupted here
        world.now += 100 * SECOND
        deliver(courier, world)
    requests = [
        (item.id, item.state, item.acts, item.sent_at, item.ended_at, item.request.reasons, item.request.late)
        for item in stubborn(world.requests)
    ]
    decisions = [structs.replace(item, id=0) for item in stubborn(world.decisions)]
    return (requests, decisions), receiver.ids, world


def deliver(courier: Courier, world: World) -> None:
    """Deliver everything that is due."""
    for _ in range(100):
        following = stubborn(lambda: courier.step(lambda: world.now))
        if following is None or following > world.now:
            return
    raise AssertionError("the courier is still busy")


def act(world: World, rng: random.Random) -> None:
    """Act as coordinators and operators do between two slots; with the same random numbers in every run."""
    dice = [rng.random() for _ in range(3)]
    records = stubborn(world.requests)
    for record in records:
        if record.state.in_flight and world.now - record.sent_at >= 20 * SECOND:
            stubborn(lambda id_=record.id: world.report(id_, "succeeded"))  # type: ignore[misc]
    waiting = [record.id for record in records if record.state.waiting]
    if waiting and dice[0] < 0.5:
        what = rng.choice(["approve", "release", "withdraw"])
        stubborn(lambda: world.commands.act(waiting[0], what, "ann"))
    if dice[1] < 0.1:
        stubborn(lambda: world.commands.create(B, "by hand", "bob", force=True))
    if dice[2] < 0.1:
        length = rng.choice([0, 30 * SECOND])
        stubborn(lambda: world.commands.pause("shop", "search", length, "eve"))


@pytest.mark.parametrize("seed", range(3))
def test_connections_that_are_cut_at_commit_change_no_request_and_no_decision(cluster: Postgres, seed: int) -> None:
    """A fifth of all COMMITs is interrupted: before, after or while the server handles it. The seed is printed."""
    expected, sent, _ = lived(MemoryStore(), seed)
    dice = random.Random(100 + seed)
    with cutting_proxy(cluster.port) as proxy:
        store = SqlStore.open_url(through(proxy, cluster.database()))

        def begins() -> None:
            proxy.fate = lambda: dice.choice([BEFORE, AFTER, RACING]) if dice.random() < 0.2 else PASS

        cut, sent_again, world = lived(store, seed, begins)
        proxy.fate = lambda: PASS
        assert proxy.cuts > SLOTS, "the proxy cut too seldom to show anything"
        for found, wanted in zip(cut, expected, strict=True):
            assert found == wanted
        assert set(sent_again) == set(sent)
        assert all(
            item.state is DeliveryState.DELIVERED for record in world.requests() for item in store.deliveries(record.id)
        )
        store.close()
    print(f"seed {seed}: {proxy.cuts} cuts, {len(expected[0])} requests, {len(expected[1])} decisions")


@pytest.mark.parametrize("fate", [BEFORE, AFTER, RACING])
def test_a_commit_without_a_response_is_uncertain(cluster: Postgres, fate: str) -> None:
    """A subsequent load sees the final outcome."""
    with cutting_proxy(cluster.port) as proxy:
        store = SqlStore.open_url(through(proxy, cluster.database()))
        proxy.fate = lambda: fate
        with pytest.raises(StoreUncertainError, match="may or may not have succeeded"):
            store.commit(TickChanges("g", 7, requests=[record_of()], at=7))
        proxy.fate = lambda: PASS
        assert store.doubts == 1
        found = dict(store.load(0).slots)
        possible: dict[str, list[dict[str, int]]] = {BEFORE: [{}], AFTER: [{"g": 7}], RACING: [{}, {"g": 7}]}
        assert found in possible[fate]
        assert dict(store.load(0).slots) == found
        store.close()


@pytest.mark.parametrize("fate", [BEFORE, AFTER])
def test_a_settlement_without_an_answer_is_made_again_and_nothing_is_sent_twice(cluster: Postgres, fate: str) -> None:
    """The receiver's answer is kept until it is stored; the courier reports it once."""
    with cutting_proxy(cluster.port) as proxy:
        store = SqlStore.open_url(through(proxy, cluster.database()))
        world = World(group(rule()), store=store)
        world.tick({A: 0.9})
        (record,) = world.requests()
        receiver, reports = Taking(), list[AttemptReport]()
        courier = Courier(
            PLACE, receiver, store, "w", DeliverySettings(), reports.append, world.commands.settled, random.Random(1)
        )

        def send(notification: Notification, now: int) -> Delivery:
            proxy.fate = lambda: fate
            return Taking.send(receiver, notification, now)

        receiver.send = send  # type: ignore[method-assign]
        with pytest.raises(StoreError):
            courier.step(lambda: world.now)
        proxy.fate = lambda: PASS
        stubborn(lambda: courier.step(lambda: world.now))
        (item,) = store.deliveries(record.id)
        assert (item.state, item.attempts, item.kind) == (DeliveryState.DELIVERED, 1, Kind.FIRING)
        assert (receiver.ids, len(reports)) == ([record.id], 1)
        world.engine.recover(world.now)
        assert world.state.episode_index.requests[record.id].state == "accepted"
        store.close()


def test_a_request_by_hand_whose_commit_is_cut_is_made_once(cluster: Postgres) -> None:
    """It was stored: the operator gets a success, and does not repeat the action."""
    with cutting_proxy(cluster.port) as proxy:
        store = SqlStore.open_url(through(proxy, cluster.database()))
        world = World(group(rule()), store=store)
        commit = store.commit

        def cut(changes: TickChanges) -> None:
            fates = [AFTER]
            proxy.fate = lambda: fates.pop() if fates else PASS
            commit(changes)

        store.commit = cut  # type: ignore[method-assign]
        record = world.commands.create(A, "why not", "ann")
        assert [item.id for item in world.requests()] == [record.id]
        assert len(store.decisions(DecisionFilter())) == 1
        store.close()


RUN = "team/run/0"


def held_run(store: SqlStore) -> tuple[World, str]:
    """Return a world whose one request has a run that may have been started, and the request's id."""
    world = World(group(rule()), store=store, routes=FixedRoutes((RUN,)))
    world.tick({A: 0.9})
    (record,) = world.requests()
    store.save_run(Run(record.id, RUN, "rb", "{}", world.now, RunState.UNKNOWN, sent_at=world.now))
    return world, record.id


def recorded(store: SqlStore, request_id: str) -> tuple[int, bool, bool]:
    """Return the number of acts, and whether the run may be started again, or is to be cancelled."""
    record, run = store.request(request_id), store.run(request_id, RUN)
    assert record is not None
    assert run is not None
    return len(record.acts), run.again_at > 0, run.cancel_at > 0


@pytest.mark.parametrize("what", ["start-again", "cancel"])
@pytest.mark.parametrize("fate", [BEFORE, AFTER, RACING])
def test_an_act_on_a_run_whose_commit_is_cut_is_stored_whole_or_not_at_all(
    cluster: Postgres, fate: str, what: str
) -> None:
    """And once, if the call is repeated with its key."""
    with cutting_proxy(cluster.port) as proxy:
        store = SqlStore.open_url(through(proxy, cluster.database()))
        world, request_id = held_run(store)
        whole = (1, what == "start-again", what == "cancel")
        fates = [fate]
        proxy.fate = lambda: fates.pop() if fates else PASS
        with contextlib.suppress(StoreError):
            world.commands.act(request_id, what, "ann", key="k1")
        assert not fates
        assert recorded(store, request_id) in [(0, False, False), whole]
        stubborn(lambda: world.commands.act(request_id, what, "ann", key="k1"))
        assert recorded(store, request_id) == whole
        store.close()


@pytest.mark.parametrize("what", ["start-again", "cancel"])
@pytest.mark.parametrize("table", ["requests", "runs"])
def test_an_act_on_a_run_that_fails_between_its_statements_changes_nothing(
    cluster: Postgres, table: str, what: str
) -> None:
    """The server refuses the one or the other of its changes."""
    url = cluster.database()
    store = SqlStore.open_url(url)
    world, request_id = held_run(store)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused'; END $$"
        )
        trigger = f"CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"
        connection.execute(trigger)
        with pytest.raises(StoreError, match="refused"):
            world.commands.act(request_id, what, "ann", key="k1")
        assert recorded(store, request_id) == (0, False, False)
        connection.execute(f"DROP TRIGGER refuse ON {table}")
    world.commands.act(request_id, what, "ann", key="k1")
    assert recorded(store, request_id) == (1, what == "start-again", what == "cancel")
    store.close()


# ------------------------------------------------------------ the lock


def test_the_lock_is_reacquired_after_a_restart_of_the_server() -> None:
    """The lock is reacquired before anything is written; a second bridge is still refused."""
    with postgres() as server:
        url = server.database()
        store = SqlStore.open_url(url)
        server.program.kill()
        server.start()
        with pytest.raises(StoreUncertainError, match="was lost and reacquired"):
            stubborn_but_for_uncertain(lambda: store.commit(TickChanges("g", 2, at=2)))
        assert dict(store.load(0).slots) == {}
        with pytest.raises(StoreBusyError):
            SqlStore.open_url(url)
        store.commit(TickChanges("g", 2, at=2))
        store.close()
        SqlStore.open_url(url).close()


def test_the_second_process_after_a_restart_of_the_server_writes_nothing() -> None:
    """Another bridge was faster: the first one must not write anything."""
    with postgres() as server:
        url = server.database()
        first = SqlStore.open_url(url)
        first.commit(TickChanges("g", 1, at=1))
        server.program.kill()
        server.start()
        second = SqlStore.open_url(url)
        for _ in range(3):
            with pytest.raises(StoreBusyError, match="in use by another process"):
                stubborn_but_for_uncertain(lambda: first.commit(TickChanges("g", 9, at=9)))
        second.commit(TickChanges("g", 2, at=2))
        assert dict(second.load(0).slots) == {"g": 2}
        first.close()
        second.close()


def test_a_lock_whose_connection_was_ended_is_noticed_by_the_next_write(cluster: Postgres) -> None:
    """By an administrator or a firewall: the other connections stay open."""
    url = cluster.database()
    store = SqlStore.open_url(url)
    store.commit(TickChanges("g", 1, at=1))
    end_lock_holder(cluster, url)
    with pytest.raises(StoreUncertainError, match="was lost and reacquired"):
        store.commit(TickChanges("g", 2, at=2))
    store.check()
    with pytest.raises(StoreBusyError):
        SqlStore.open_url(url)
    store.close()


def end_lock_holder(cluster: Postgres, url: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = 7259216"
        )


def stubborn_but_for_uncertain(act: Callable[[], object]) -> object:
    """The first call after a restart may fail on a dead connection; return the first result after that."""
    for _ in range(5):
        try:
            return act()
        except (StoreUncertainError, StoreBusyError):
            raise
        except StoreError:
            continue
    return act()
