"""The ledger: each request is recorded once, order is kept, terminal states are final, damage is reported."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.coordinator.ledger import Ledger
from bridge.coordinator.records import ListFilter, Origin, Submission, SubmissionOutcome
from bridge.domain.errors import SchemaTooNewError, StoreBusyError, StoreCorruptError, StoreError, StoreFullError
from bridge.domain.model import PipelineKey
from bridge.domain.request import RequestState
from tests.support.coordinator import NOON, an_id


def wanted(number: int = 1, pipeline: str = "churn", reason: str = "drift", origin: Origin = Origin.API) -> Submission:
    text = json.dumps({"id": an_id(number), "reason": reason})
    return Submission(an_id(number), "shop", pipeline, "3", reason, text, origin)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    made = Ledger(tmp_path / "ledger.sqlite", reports=True)
    yield made
    made.close()


def test_an_id_is_new_once(ledger: Ledger) -> None:
    first = ledger.accept(wanted(), NOON, runnable=True)
    second = ledger.accept(wanted(), NOON + 5, runnable=True)
    assert (first.outcome, second.outcome) == (SubmissionOutcome.NEW, SubmissionOutcome.KNOWN)
    assert (second.record.number, second.record.received_at, second.differs) == (1, NOON, ())
    found = ledger.get(an_id(1))
    assert found is not None
    assert (found.repeats, found.reference, found.state) == (1, "run-1", RequestState.ACCEPTED)


def test_an_id_from_twenty_threads_at_once_is_new_once(ledger: Ledger) -> None:
    """The database decides, not a check before the write."""
    start, taken = threading.Barrier(20), []

    def accept() -> None:
        start.wait()
        taken.append(ledger.accept(wanted(), NOON, runnable=True).outcome)

    threads = [threading.Thread(target=accept) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [SubmissionOutcome.KNOWN] * 19 + [SubmissionOutcome.NEW]


def test_an_id_of_another_model_is_a_conflict(ledger: Ledger) -> None:
    ledger.accept(wanted(), NOON, runnable=True)
    receipt = ledger.accept(wanted(pipeline="fraud"), NOON, runnable=True)
    assert (receipt.outcome, receipt.record.pipeline, receipt.record.repeats) == (
        SubmissionOutcome.CONFLICT,
        "churn",
        0,
    )


def test_what_differs_in_a_repeated_body_is_named(ledger: Ledger) -> None:
    ledger.accept(wanted(), NOON, runnable=True)
    receipt = ledger.accept(wanted(reason="other"), NOON, runnable=True)
    assert (receipt.outcome, receipt.differs, receipt.record.reason) == (SubmissionOutcome.KNOWN, ("reason",), "drift")


def test_the_fuller_body_replaces_an_alert_that_waits(ledger: Ledger) -> None:
    """The first arrival creates the record; the command gets the full evidence if it arrives in time."""
    ledger.accept(wanted(origin=Origin.ALERTMANAGER), NOON, runnable=True)
    receipt = ledger.accept(wanted(reason="in full"), NOON, runnable=True)
    assert (receipt.outcome, receipt.record.reason, receipt.record.origin) == (
        SubmissionOutcome.KNOWN,
        "in full",
        "alertmanager",
    )
    ledger.start_next((), NOON)
    receipt = ledger.accept(wanted(reason="too late"), NOON, runnable=True)
    assert (receipt.outcome, receipt.record.reason) == (SubmissionOutcome.KNOWN, "in full")


def test_an_alert_changes_nothing_of_what_the_api_brought(ledger: Ledger) -> None:
    ledger.accept(wanted(reason="in full"), NOON, runnable=True)
    receipt = ledger.accept(wanted(origin=Origin.ALERTMANAGER), NOON, runnable=True)
    assert (receipt.outcome, receipt.record.reason, receipt.differs) == (SubmissionOutcome.KNOWN, "in full", ())


def test_runs_start_in_order_of_arrival_and_one_per_pipeline(ledger: Ledger) -> None:
    for number, pipeline in enumerate(["churn", "churn", "fraud"], start=1):
        ledger.accept(wanted(number, pipeline), NOON, runnable=True)
    first = ledger.start_next((), NOON + 1)
    assert first is not None
    assert (first.id, first.state, first.started_at) == (an_id(1), RequestState.RUNNING, NOON + 1)
    churn, fraud = PipelineKey("shop", "churn"), PipelineKey("shop", "fraud")
    second = ledger.start_next({churn}, NOON + 1)
    assert second is not None
    assert second.id == an_id(3)
    assert ledger.start_next({churn, fraud}, NOON + 1) is None


def test_what_is_only_recorded_is_never_started(ledger: Ledger) -> None:
    """A command that is configured weeks later must not run old requests."""
    receipt = ledger.accept(wanted(), NOON, runnable=False)
    assert receipt.record.message == "recorded only: no command is configured"
    assert ledger.start_next((), NOON) is None


def test_an_end_is_final(ledger: Ledger) -> None:
    ledger.accept(wanted(), NOON, runnable=True)
    ledger.start_next((), NOON)
    done = ledger.move(an_id(1), RequestState.SUCCEEDED, NOON + 9, message="ok", new_version="4")
    assert done is not None
    assert (done.state, done.ended_at, done.message, done.new_version) == ("succeeded", NOON + 9, "ok", "4")
    assert ledger.move(an_id(1), RequestState.FAILED, NOON + 10) is None
    assert ledger.move(an_id(2), RequestState.FAILED, NOON + 10) is None


def test_what_ran_is_lost_and_what_waited_still_waits(ledger: Ledger) -> None:
    for number in (1, 2):
        ledger.accept(wanted(number), NOON, runnable=True)
    ledger.start_next((), NOON)
    [lost] = ledger.lose_running(NOON + 1, "crash")
    assert (lost.id, lost.state, lost.message, lost.ended_at) == (an_id(1), RequestState.LOST, "crash", NOON + 1)
    assert ledger.counts() == {"lost": 1, "accepted": 1}


def test_only_what_waits_is_cancelled_in_the_ledger(ledger: Ledger) -> None:
    ledger.accept(wanted(), NOON, runnable=True)
    cancelled = ledger.cancel_waiting(an_id(1), NOON + 1, "by hand")
    assert cancelled is not None
    assert (cancelled.state, cancelled.ended_at, cancelled.message) == (RequestState.CANCELLED, NOON + 1, "by hand")
    assert ledger.cancel_waiting(an_id(1), NOON + 2, "again") is None
    assert ledger.start_next((), NOON) is None


def test_a_report_is_due_at_every_change_and_the_newest_wins(ledger: Ledger) -> None:
    """Settling the report of an older state must not swallow the one of the newer."""
    ledger.accept(wanted(), NOON, runnable=True)
    accepted = ledger.due_report(NOON)
    assert accepted is not None
    ledger.start_next((), NOON + 1)
    ledger.settle_report(accepted, None)
    running = ledger.due_report(NOON + 1)
    assert running is not None
    assert (running.state, running.report_attempts) == (RequestState.RUNNING, 0)
    ledger.settle_report(running, NOON + 500)
    assert (ledger.due_report(NOON + 499), ledger.next_report_at(), ledger.pending_reports()) == (None, NOON + 500, 1)
    again = ledger.due_report(NOON + 500)
    assert again is not None
    assert again.report_attempts == 1
    ledger.settle_report(again, None)
    assert (ledger.next_report_at(), ledger.pending_reports()) == (None, 0)


def test_without_a_bridge_no_report_is_due(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "other.sqlite", reports=False)
    ledger.accept(wanted(), NOON, runnable=True)
    ledger.start_next((), NOON)
    assert ledger.pending_reports() == 0
    ledger.close()


def test_pages_are_newest_first_and_filtered(ledger: Ledger) -> None:
    for number, pipeline in enumerate(["churn", "fraud", "churn"], start=1):
        ledger.accept(wanted(number, pipeline), NOON, runnable=True)
    ledger.start_next((), NOON)
    page, total = ledger.page(ListFilter(limit=2))
    assert ([record.id for record in page], total) == ([an_id(3), an_id(2)], 3)
    page, total = ledger.page(ListFilter(project="shop", pipeline="churn", offset=1))
    assert ([record.id for record in page], total) == ([an_id(1)], 2)
    page, total = ledger.page(ListFilter(state=RequestState.RUNNING))
    assert ([record.id for record in page], total) == ([an_id(1)], 1)


def test_only_old_ends_that_are_reported_are_forgotten(ledger: Ledger) -> None:
    for number in (1, 2, 3):
        ledger.accept(wanted(number), NOON, runnable=True)
    for number in (1, 2):
        ledger.move(an_id(number), RequestState.FAILED, NOON + number)
    assert ledger.prune(NOON + 10) == []
    for _ in range(3):
        due = ledger.due_report(NOON + 10)
        assert due is not None
        ledger.settle_report(due, None)
    assert ledger.prune(NOON + 2) == [an_id(1)]
    assert [ledger.get(an_id(number)) is None for number in (1, 2, 3)] == [True, False, False]


def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, reports=True)
    record = ledger.accept(wanted(), NOON, runnable=True).record
    ledger.close()
    ledger = Ledger(path, reports=True)
    assert ledger.get(an_id(1)) == record
    ledger.close()


def test_a_second_coordinator_on_the_same_ledger_is_refused(tmp_path: Path, ledger: Ledger) -> None:
    with pytest.raises(StoreBusyError, match=r"another coordinator uses .*ledger\.sqlite"):
        Ledger(tmp_path / "ledger.sqlite", reports=True)


def test_a_file_that_is_no_ledger_is_refused_and_not_changed(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("my notes, " * 200)
    with pytest.raises(StoreCorruptError, match="not a ledger, or damaged"):
        Ledger(path, reports=True)
    assert path.read_text() == "my notes, " * 200


def test_a_damaged_ledger_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, reports=True)
    for number in range(300):
        ledger.accept(wanted(number), NOON, runnable=True)
    ledger.close()
    data = bytearray(path.read_bytes())
    for offset in range(4096 * 3, len(data), 4096):
        data[offset : offset + 400] = b"\xaa" * 400
    path.write_bytes(data)
    with pytest.raises(StoreCorruptError, match="damaged"):
        Ledger(path, reports=True)


def test_a_ledger_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Ledger(path, reports=True).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(SchemaTooNewError, match="schema 99, this one reads 1"):
        Ledger(path, reports=True)


def test_a_full_disk_accepts_nothing_and_loses_nothing(ledger: Ledger) -> None:
    """A request that cannot be recorded is refused; with space again, all of it is recorded."""
    ledger.accept(wanted(1), NOON, runnable=True)
    ledger._db.execute(f"PRAGMA max_page_count = {ledger._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StoreFullError, match="disk is full"):
        ledger.accept(wanted(2, reason="x" * 100_000), NOON, runnable=True)
    assert ledger.get(an_id(2)) is None
    ledger._db.execute("PRAGMA max_page_count = 100000")
    assert ledger.accept(wanted(2), NOON, runnable=True).outcome is SubmissionOutcome.NEW
    assert ledger.get(an_id(1)) is not None


def test_a_closed_ledger_is_a_store_error(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "closed.sqlite", reports=True)
    ledger.close()
    with pytest.raises(StoreError, match="closed"):
        ledger.check()
