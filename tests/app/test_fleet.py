"""Tests of a replica's place in a fleet: when it takes the lease, and when it stops being the owner."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from bridge.app import clock, fleet
from bridge.app.fleet import Fleet, FleetOptions
from bridge.domain.errors import ConfigError, Problem, SchemaTooNewError, StoreError
from bridge.store import opening
from bridge.store.leases import FleetState, Replica
from tests.support.postgres import Postgres, postgres
from tests.support.release import next_migrations

LEASE = 60_000


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    with postgres() as server:
        yield server


@pytest.fixture
def url(cluster: Postgres) -> Iterator[str]:
    yield cluster.database()
    clock.follow(0, anew=True)


def member(url: str, name: str, config: str = "same", lease: int = LEASE) -> Fleet:
    """Return a replica that looks only when a test says so."""
    return Fleet(url, FleetOptions(lease, name, f"http://{name}"), lambda: config, lambda: None, lambda: None)


def expire(made: Fleet) -> None:
    """End the lease, as time would."""
    with made._leases._engine.begin() as connection:
        connection.execute(text("UPDATE leases SET expires_at = 1"))


def metric(made: Fleet, start: str) -> float:
    """Return a sample of the replica's metrics."""
    lines = made.metrics.render().decode().splitlines()
    return next(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(f"retrain_bridge_fleet_{start} "))


def test_first_replica_is_the_owner(url: str) -> None:
    """The second one is a standby that knows the owner's address; the metrics say so."""
    first, second = member(url, "r1"), member(url, "r2")
    first._look()
    second._look()
    assert first.fence is not None
    assert second.fence is None
    assert second.owner_address == "http://r1"
    assert [metric(item, "owner") for item in (first, second)] == [1, 0]
    assert metric(second, "replicas") == 2


def test_owner_that_lost_the_lease_becomes_a_standby(url: str) -> None:
    """Its next look finds another fence."""
    first, second = member(url, "r1"), member(url, "r2")
    first._look()
    expire(first)
    second._look()
    assert second.fence is not None
    first._look()
    assert first.fence is None
    assert metric(first, 'lease_renewals_total{result="lost"}') == 1


def test_owner_stops_by_itself_without_renewals(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After two thirds of the lease, and not before."""
    changes: list[bool] = []
    made = Fleet(url, FleetOptions(LEASE, "r1", "http://r1"), lambda: "a", lambda: None, lambda: changes.append(True))
    made._look()
    began = made._renewed
    monkeypatch.setattr(fleet.time, "monotonic", lambda: began + LEASE / 1500 - 0.001)  # type: ignore[attr-defined]
    made.check()
    assert made.fence is not None
    monkeypatch.setattr(fleet.time, "monotonic", lambda: began + LEASE / 1500 + 0.001)  # type: ignore[attr-defined]
    made.check()
    assert made.fence is None
    assert len(changes) == 2  # taken, lost


def test_loss_of_an_earlier_ownership_does_not_end_the_present_one(url: str) -> None:
    """A late report of an old engine names its own fence."""
    made = member(url, "r1")
    made._look()
    old = made.fence
    assert old is not None
    made.lose(old, "test")
    expire(made)
    made._look()
    assert made.fence is not None
    assert made.fence is not old
    made.lose(old, "late")
    assert made.fence is not None


def test_owner_that_cannot_start_hands_the_lease_over(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another replica takes it at its next look; this one leaves it alone for the length of a lease."""
    first, second = member(url, "r1"), member(url, "r2")
    first._look()
    fence, now = first.fence, fleet.time.monotonic()  # type: ignore[attr-defined]
    assert fence is not None
    first.hand_over(fence, "rules.yml has errors")
    assert first.fence is None
    first._look()
    assert first.fence is None
    second._look()
    assert second.fence is not None
    second.hand_over(second.fence, "test")
    monkeypatch.setattr(fleet.time, "monotonic", lambda: now + LEASE / 1000 + 60)  # type: ignore[attr-defined]
    first._look()
    assert first.fence is not None
    first.hand_over(fence, "late")
    assert first.fence is not None


def test_lease_that_cannot_be_released_ends_by_itself(
    url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The database does not answer."""
    made = member(url, "r1")
    made._look()
    assert made.fence is not None

    def fail(_: int) -> None:
        raise OperationalError("UPDATE", None, Exception("gone"))

    monkeypatch.setattr(made._leases, "release", fail)
    made.hand_over(made.fence, "test")
    assert made.fence is None
    assert "the lease was not released; it ends by itself" in caplog.text


def test_database_that_does_not_answer_is_counted(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The look fails without an exception, and the owner keeps its lease until `check` ends it."""
    made = member(url, "r1")
    made._look()

    def fail(*_: object) -> FleetState:
        raise OperationalError("SELECT", None, Exception("gone"))

    monkeypatch.setattr(made._leases, "look", fail)
    made._look()
    assert metric(made, 'lease_renewals_total{result="error"}') == 1
    assert made.fence is not None


def state(config_seq: int, *others: int, free: bool = True) -> FleetState:
    """Return a state of the fleet with replicas of the given configurations."""
    replicas = tuple(Replica(f"x{seq}", "", "1", "h", seq, 0, 0) for seq in others)
    return FleetState("", 1, free, 0, 0, config_seq, 0, 0, replicas, "0009")


def test_older_configuration_waits_for_two_leases(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a newer replica lives it never takes the lease; without one, after two leases."""
    made = member(url, "r1")
    made._config_seq = 1
    now = 100.0
    monkeypatch.setattr(fleet.time, "monotonic", lambda: now)  # type: ignore[attr-defined]
    assert not made._may_take(state(2, 1, 2))
    assert not made._may_take(state(2, 1))
    now += 2 * LEASE / 1000 - 1
    assert not made._may_take(state(2, 1))
    now += 2
    assert made._may_take(state(2, 1))
    assert not made._may_take(state(2, 1, 2))  # a newer one came: the wait begins anew
    assert not made._may_take(state(2, 1))


def test_same_or_newer_configuration_takes_at_once(url: str) -> None:
    """But only a lease that is free."""
    made = member(url, "r1")
    made._config_seq = 2
    assert made._may_take(state(2, 1, 2))
    assert made._may_take(state(1, 1))
    assert not made._may_take(state(1, 1, free=False))


def test_replica_that_cannot_use_a_newer_schema_stays_a_standby(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It says so once, and does not try again."""
    old = member(url, "old")
    with monkeypatch.context() as newer:
        newer.setattr(opening, "MIGRATIONS", next_migrations(tmp_path, "0101")[0])
        new = member(url, "new")
    for _ in range(3):
        old._look()
        assert old.fence is None
    assert caplog.text.count("this replica cannot be the owner any more; update it") == 1
    monkeypatch.setattr(opening, "MIGRATIONS", tmp_path / "migrations-0101")
    new._look()
    assert new.fence is not None
    monkeypatch.undo()
    with pytest.raises(SchemaTooNewError, match="has schema 0101"):
        member(url, "restarted")


def test_reload_makes_the_configuration_the_newest(url: str) -> None:
    """A roll-back on a running owner is newer than the files that it replaces."""
    files = "old"
    made = Fleet(url, FleetOptions(LEASE, "r1", "http://r1"), lambda: files, lambda: None, lambda: None)
    other = member(url, "r2", "new")
    assert [made._config_seq, other._config_seq] == [1, 2]
    made.reloaded()
    assert made._config_seq == 3


def test_standby_numbers_changed_files_anew(url: str) -> None:
    """It loads its files when it takes over, so it has the number that the owner gets by a reload of the same files."""
    files = {"r1": "a", "r2": "a"}
    first, second = (
        Fleet(url, FleetOptions(LEASE, name, f"http://{name}"), lambda n=name: files[n], lambda: None, lambda: None)  # type: ignore[misc]
        for name in files
    )
    numbers = []
    for content in ("a", "b", "a"):
        files["r2"] = content
        first._look()
        second._look()
        files["r1"] = content
        ahead = second._config_seq
        first.reloaded()
        numbers.append((first._config_seq, ahead))
    assert numbers == [(1, 1), (2, 2), (3, 3)]


def test_standby_keeps_its_number_while_changed_files_have_errors(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:  # fmt: skip
    """It could not become the owner with them; one line of the log says so."""
    files, loads = "a", []

    def load() -> None:
        loads.append(files)
        if files == "bad":
            raise ConfigError([Problem("bridge.yml", 3, "groups", "is not a list", "")])

    first = member(url, "r1", "a")
    first._look()
    second = Fleet(url, FleetOptions(LEASE, "r2", "http://r2"), lambda: files, load, lambda: None)
    files = "bad"
    second._look()
    second._look()
    assert (second._config_seq, loads) == (1, ["bad"])
    assert [item.message for item in caplog.records if item.levelname == "ERROR"] == [
        "changed configuration files have errors; the owner keeps its own"
    ]
    files = "good"
    second._look()
    assert (second._config_seq, loads) == (2, ["bad", "good"])


def test_replicas_with_the_same_files_agree_on_the_highest_number(url: str) -> None:
    """One whose files changed and changed back, while this one's did not, has a higher number."""
    files = "a"
    first = member(url, "r1", "a")
    first._look()
    second = Fleet(url, FleetOptions(LEASE, "r2", "http://r2"), lambda: files, lambda: None, lambda: None)
    for content in ("b", "a"):
        files = content
        second._look()
    assert (first._config_seq, second._config_seq) == (1, 3)
    first._look()
    assert first._config_seq == 3


def test_standby_follows_the_databases_clock_at_once(url: str) -> None:
    """A standby may go back; an owner never does."""
    made = member(url, "r1")
    before = clock.now()
    made._follow(-30_000)
    assert clock.now() <= before - 29_000
    assert clock.offset() == -30_000
    made._follow(0)
    made._look()
    assert made.fence is not None
    before = clock.now()
    made._follow(-30_000)
    assert clock.now() >= before
    assert clock.lead() > 29_000


def test_stop_gives_the_lease_up(url: str) -> None:
    """Another replica takes it at its next look, and this one is no longer listed."""
    first, second = member(url, "r1"), member(url, "r2")
    first.start()
    assert first.fence is not None
    first.stop()
    second._look()
    assert second.fence is not None
    assert second.state is not None
    assert [item.id for item in second.state.replicas] == ["r2"]


@pytest.mark.parametrize("bad", ["postgresql://host:port/x", "sqlite:///x", "nonsense", "postgresql://a:1,b:2/x"])
def test_wrong_url_is_a_clear_error(bad: str) -> None:
    """Whatever SQLAlchemy raises; the message shows both forms."""
    with pytest.raises(StoreError, match=r"postgresql://|PostgreSQL"):
        member(bad, "r1")


@pytest.mark.parametrize(
    ("lease", "address", "said"),
    [
        (999, "http://r1", "--fleet.lease: 999ms is too short"),
        (LEASE, "r1:9095", "--fleet.advertise-address: 'r1:9095' is no URL"),
        (LEASE, "http://[::1", "--fleet.advertise-address: 'http://[::1' is no URL"),
        (LEASE, "http://r1:x", "--fleet.advertise-address: 'http://r1:x' is no URL"),
        (LEASE, "http://:9095", "at which other replicas reach this one"),
        (LEASE, "http://0.0.0.0:9095", "for example http://10.0.0.1:9095"),
    ],
)
def test_option_that_cannot_work_is_refused(lease: int, address: str, said: str) -> None:
    """Before a database is opened; the default address of a server on all addresses is none."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        FleetOptions(lease, "r1", address)
