"""Reports to the bridge: signed, retried within bounds, with the current state."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from standardwebhooks import webhooks as reference

from bridge.coordinator import callback
from bridge.coordinator.callback import GIVE_UP, Callbacks
from bridge.coordinator.ledger import Ledger
from bridge.coordinator.records import Origin, Submission
from bridge.domain.errors import StoreError
from bridge.domain.request import RequestState
from bridge.net.http_config import SinkHttpConfig
from bridge.net.session import open_session
from tests.coordinator.conftest import Start
from tests.support.coordinator import ID, NOON, OTHER_SECRET, SECRET, Bridge, an_id, listening_bridge
from tests.support.processes import free_port, wait_until


class Office:
    """A ledger with one accepted request, its callbacks, and a clock that is set by hand."""

    def __init__(self, folder: Path, url: str, *secrets: str) -> None:
        self.now = NOON
        self.secrets = secrets
        self.counts: Counter[str] = Counter()
        self.ledger = Ledger(folder / "ledger.sqlite", reports=True)
        self.ledger.accept(Submission(ID, "shop", "churn", "3", "drift", "{}", Origin.API), NOON, runnable=True)
        session = open_session(SinkHttpConfig(), folder)
        self.callbacks = Callbacks(
            self.ledger,
            url,
            session,
            lambda: self.secrets,
            lambda: self.now,
            lambda result: self.counts.update([result]),
            random.Random(1),
        )
        self.session = session

    def close(self) -> None:
        self.session.close()
        self.ledger.close()

    def due_in(self) -> int | None:
        due = self.ledger.next_report_at()
        return None if due is None else due - self.now


@pytest.fixture
def bridge() -> Iterator[Bridge]:
    with listening_bridge() as made:
        yield made


@pytest.fixture
def office(tmp_path: Path, bridge: Bridge) -> Iterator[Office]:
    made = Office(tmp_path, bridge.url, SECRET, OTHER_SECRET)
    yield made
    made.close()


def test_a_report_has_the_state_of_a_request(office: Office, bridge: Bridge) -> None:
    assert office.callbacks.step() == 0.0
    [call] = bridge.calls
    assert call.path == f"/api/v1/requests/{ID}/status"
    assert call.headers["content-type"] == "application/json"
    assert call.json == {
        "state": "accepted",
        "message": "",
        "new_version": "",
        "reference": "run-1",
        "at": "2026-03-01T12:00:00.000Z",
    }
    assert (office.due_in(), office.counts) == (None, {"ok": 1})
    assert office.callbacks.step() == 30.0


@pytest.mark.parametrize("secret", [SECRET, OTHER_SECRET])
def test_the_reference_implementation_verifies_a_report(
    tmp_path: Path, office: Office, bridge: Bridge, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With each of two secrets, so that they can be rotated on either side first."""
    monkeypatch.setattr(reference, "datetime", _At)
    office.callbacks.step()
    [call] = bridge.calls
    assert reference.Webhook(secret).verify(call.body, call.headers)["state"] == "accepted"


class _At(__import__("datetime").datetime):  # type: ignore[misc]
    """The reference reads the clock itself; it is noon."""

    @classmethod
    def now(cls, tz: object = None) -> object:
        return cls.fromtimestamp(NOON // 1000, tz)


def test_without_a_secret_a_report_is_not_signed(office: Office, bridge: Bridge) -> None:
    office.secrets = ()
    office.callbacks.step()
    assert not [name for name in bridge.calls[0].headers if name.startswith("webhook-")]


def test_a_retry_keeps_the_id_and_has_its_own_time(office: Office, bridge: Bridge) -> None:
    """The bridge can drop a repeat, and no signature expires."""
    bridge.statuses = [503]
    office.callbacks.step()
    office.now += 60_000
    office.callbacks.step()
    first, second = (call.headers for call in bridge.calls)
    assert first["webhook-id"] == second["webhook-id"] == f"{ID}-1"
    assert int(second["webhook-timestamp"]) - int(first["webhook-timestamp"]) == 60
    assert office.counts == {"retry": 1, "ok": 1}


def test_the_next_state_is_another_message(office: Office, bridge: Bridge) -> None:
    office.callbacks.step()
    office.ledger.start_next((), NOON)
    office.callbacks.step()
    assert [call.headers["webhook-id"] for call in bridge.calls] == [f"{ID}-1", f"{ID}-2"]
    assert bridge.states() == ["accepted", "running"]


def test_a_bridge_that_was_down_gets_the_present_state_only(office: Office, bridge: Bridge) -> None:
    bridge.statuses = [503]
    office.callbacks.step()
    office.ledger.start_next((), NOON)
    office.ledger.move(ID, RequestState.SUCCEEDED, NOON, new_version="4")
    office.callbacks.step()
    assert bridge.states() == ["accepted", "succeeded"]
    assert bridge.calls[-1].json["new_version"] == "4"
    assert office.due_in() is None


@pytest.mark.parametrize("status", [500, 503, 429, 408, 425, 401, 403])
def test_what_may_pass_later_is_tried_again(office: Office, bridge: Bridge, status: int) -> None:
    """401 and 403 too: a secret may be in rotation."""
    bridge.statuses = [status]
    office.callbacks.step()
    due = office.due_in()
    assert due is not None
    assert 500 <= due <= 1000
    assert office.counts == {"retry": 1}
    assert 0 < office.callbacks.step() <= 1.0


def test_a_bridge_that_requests_time_gets_it(office: Office, bridge: Bridge) -> None:
    bridge.statuses, bridge.retry_after = [503], "120"
    office.callbacks.step()
    assert office.due_in() == 120_000


@pytest.mark.parametrize("status", [400, 404, 409, 302])
def test_a_permanently_refused_report_is_abandoned(office: Office, bridge: Bridge, status: int) -> None:
    """404: it is not that bridge's request. 409: an end is final there. 302: a redirect is never followed."""
    bridge.statuses = [status]
    office.callbacks.step()
    assert (office.due_in(), office.counts, len(bridge.calls)) == (None, {"refused": 1}, 1)


def test_waits_grow_to_five_minutes_and_end_after_a_day(office: Office, bridge: Bridge) -> None:
    """The bridge polls as well; an undeliverable report is not retried forever."""
    bridge.statuses = [503] * 10_000
    waits = []
    while (due := office.due_in()) is not None:
        office.now += max(due, 0)
        office.callbacks.step()
        waits.append(due)
    assert 500 <= waits[1] <= 1000
    assert max(waits) <= 300_000
    assert max(waits[:5]) <= 8_000
    assert max(waits) > 200_000
    assert NOON + GIVE_UP < office.now <= NOON + GIVE_UP + 300_000


def test_a_bridge_that_is_down_is_tried_again_and_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(tmp_path, f"http://127.0.0.1:{free_port()}")
    for _ in range(3):
        office.callbacks.step()
        office.now += 400_000
    assert office.counts == {"retry": 3}
    assert [record.message for record in caplog.records] == ["report to the bridge failed"]
    office.close()


def test_a_secret_that_cannot_be_read_waits(office: Office, bridge: Bridge) -> None:
    def unreadable() -> tuple[str, ...]:
        raise ValueError("secret: No such file or directory")

    office.callbacks._secrets = unreadable
    office.callbacks.step()
    assert (office.counts, bridge.calls) == ({"retry": 1}, [])


def test_reports_flow_by_themselves(start: Start, bridge: Bridge) -> None:
    """From the first state to the last, woken by changes, not by a timer."""
    _, client = start(command=["sh", "-c", 'sleep 0.2; echo \'{"new_version": "4"}\''], bridge_url=bridge.url)
    client.submit()
    wait_until(lambda: "succeeded" in bridge.states(), 10, "the last report")
    assert bridge.states()[-1] == "succeeded"
    assert set(bridge.states()) <= {"accepted", "running", "succeeded"}
    wait_until(lambda: client.metric("retrain_bridge_coordinator_reports_pending") == 0, 5, "nothing pending")
    assert client.metric('retrain_bridge_coordinator_reports_total{result="ok"}') == len(bridge.calls)


def test_a_cancellation_is_reported(start: Start, bridge: Bridge) -> None:
    _, client = start(bridge_url=bridge.url)
    client.submit()
    client.cancel()
    wait_until(lambda: "cancelled" in bridge.states(), 10, "the report")


def test_the_url_of_a_body_is_never_called(start: Start, bridge: Bridge) -> None:
    """Only the configured address is called: a body cannot add another."""
    with listening_bridge() as other:
        _, client = start(bridge_url=bridge.url)
        client.submit(generator_url=other.url, callback_url=other.url, bridge_url=other.url)
        wait_until(lambda: bridge.calls, 10, "the report")
    assert other.calls == []


def test_a_ledger_that_fails_for_a_while_stops_no_report(
    start: Start, bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "_IDLE", 0.02)
    coordinator, client = start(bridge_url=bridge.url)
    real, failures = coordinator._ledger.due_report, [1, 1]

    def flaky(now: int) -> object:
        if failures:
            failures.pop()
            raise StoreError("the ledger: database is locked")
        return real(now)

    monkeypatch.setattr(coordinator._ledger, "due_report", flaky)
    client.submit(an_id(1))
    wait_until(lambda: bridge.states(an_id(1)) == ["accepted"], 10, "the report")
    assert failures == []
