"""The coordinator without its HTTP server. test_server.py and test_app.py have it over HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.records import ListFilter, Origin, Submission, SubmissionOutcome
from bridge.coordinator.service import Coordinator
from bridge.domain.errors import StoreError, UnknownRequestError
from bridge.domain.request import RequestState
from bridge.domain.times import DAY
from tests.support.coordinator import ID, NOON

SUBMISSION = Submission(ID, "shop", "churn", "3", "drift", '{"reason": "drift"}', Origin.API)


@pytest.fixture
def clock() -> list[int]:
    return [NOON]


@pytest.fixture
def coordinator(tmp_path: Path, clock: list[int]) -> Iterator[Coordinator]:
    """A coordinator whose threads are not started: what is accepted waits."""
    config = CoordinatorConfig.model_validate({"storage": tmp_path / "data", "command": ["true"], "retention": "30d"})
    made = Coordinator(config, lambda: clock[0])
    yield made
    made.stop()


def test_a_repeat_with_other_content_is_logged(coordinator: Coordinator, caplog: pytest.LogCaptureFixture) -> None:
    """The first one stays."""
    assert coordinator.submit(SUBMISSION).outcome is SubmissionOutcome.NEW
    assert coordinator.submit(SUBMISSION).outcome is SubmissionOutcome.KNOWN
    assert [item for item in caplog.records if item.levelno >= logging.WARNING] == []
    other = Submission(ID, "shop", "other", "3", "drift", "{}", Origin.API)
    assert coordinator.submit(other).outcome is SubmissionOutcome.CONFLICT
    (warning,) = [item for item in caplog.records if item.levelno >= logging.WARNING]
    assert "different content" in warning.message
    found = coordinator.get(ID)
    assert found is not None
    assert (found.pipeline, found.repeats) == ("churn", 1)


def test_a_waiting_request_is_cancelled_at_once(coordinator: Coordinator, clock: list[int]) -> None:
    """A repeated cancellation changes nothing; an unknown request is an error."""
    coordinator.submit(SUBMISSION)
    clock[0] += 1000
    found = coordinator.cancel(ID)
    assert (found.state, found.ended_at) == (RequestState.CANCELLED, NOON + 1000)
    assert coordinator.cancel(ID) == found
    with pytest.raises(UnknownRequestError, match="there is no request"):
        coordinator.cancel(ID[::-1])


def test_a_request_without_a_command_is_only_recorded(tmp_path: Path) -> None:
    made = Coordinator(CoordinatorConfig.model_validate({"storage": tmp_path / "data"}), lambda: NOON)
    try:
        state = made.submit(SUBMISSION).record.state
        assert state is RequestState.ACCEPTED
        assert made.cancel(ID).state is RequestState.CANCELLED
    finally:
        made.stop()


def test_old_requests_are_deleted_with_their_logs(coordinator: Coordinator, clock: list[int]) -> None:
    coordinator.submit(SUBMISSION)
    coordinator.cancel(ID)
    log = coordinator.config.storage / "runs" / f"{ID}.log"
    log.write_text("epoch 1")
    clock[0] += 30 * DAY
    coordinator.prune()
    assert log.exists()
    clock[0] += 1
    coordinator.prune()
    assert (coordinator.get(ID), log.exists(), coordinator.page(ListFilter())) == (None, False, ([], 0))


def test_without_its_thread_nothing_is_started(coordinator: Coordinator) -> None:
    """Not ready, although requests could be recorded."""
    with pytest.raises(StoreError, match="the thread that starts runs has died"):
        coordinator.check_ready()


def test_a_storage_that_is_a_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(StoreError, match="data is not a directory"):
        Coordinator(CoordinatorConfig.model_validate({"storage": tmp_path / "data"}), lambda: NOON)
