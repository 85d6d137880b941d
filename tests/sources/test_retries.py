"""What is retried within the deadline, when, and how often."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import requests
import responses

from bridge.domain.errors import SourceError
from bridge.net.session import Answer, call
from bridge.sources.api import Api
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import AttemptError
from tests.sources.conftest import GOOD, QUERY, URL, ask, prometheus_error

FAILURES = [
    # status, body, reason, transient, attempts
    (400, prometheus_error("bad_data"), "bad_data", False, 1),
    (422, prometheus_error("execution"), "execution", True, 2),
    (422, prometheus_error("canceled"), "canceled", True, 1),
    (499, prometheus_error("canceled"), "canceled", True, 1),
    (503, prometheus_error("timeout"), "timeout", True, 4),
    (503, prometheus_error("unavailable"), "unavailable", True, 4),
    (500, prometheus_error("internal"), "internal", True, 1),
    (404, prometheus_error("not_found"), "not_prometheus", False, 1),
    (406, prometheus_error("not_acceptable"), "not_prometheus", False, 1),
    (503, "Service Unavailable", "unavailable", True, 4),
    (429, "slow down", "rate_limited", True, 4),
    (429, prometheus_error("bad_data"), "rate_limited", True, 4),
    (502, "<html>Bad Gateway</html>", "unavailable", True, 4),
    (504, "<html>Gateway Time-out</html>", "timeout", True, 4),
    (408, "", "timeout", True, 4),
    (401, "Unauthorized", "unauthorized", False, 1),
    (403, prometheus_error("bad_data"), "unauthorized", False, 1),
    (413, "too long", "limit", False, 1),
    (418, "I am a teapot", "not_prometheus", False, 1),
    (500, "panic", "internal", True, 1),
    (599, "[1, 2]", "internal", True, 1),
    (400, '{"errorType": 7, "error": 8}', "bad_data", False, 1),
]


@pytest.mark.parametrize(("status", "body", "reason", "transient", "attempts"), FAILURES)
def test_every_refusal_has_its_class_and_its_number_of_attempts(
    api: Api, mocked: responses.RequestsMock, status: int, body: str, reason: str, transient: bool, attempts: int
) -> None:
    """The errorType decides if there is one, otherwise the status; only transient failures are retried."""
    mocked.get(QUERY, status=status, body=body)
    with pytest.raises(AttemptError, match=f"HTTP {status}") as caught:
        ask(api)
    assert (caught.value.reason, caught.value.transient, len(mocked.calls)) == (reason, transient, attempts)
    assert isinstance(caught.value, SourceError)


def test_an_answer_in_the_second_attempt_is_an_answer(
    api: Api, mocked: responses.RequestsMock, pauses: list[float]
) -> None:
    """A restarting server costs a quarter of a second, not the slot."""
    mocked.get(QUERY, status=503, body="Service Unavailable")
    mocked.get(QUERY, body=GOOD)
    assert ask(api) == GOOD.encode()
    assert pauses == [0.25]


def test_a_dead_network_is_tried_four_times(api: Api, mocked: responses.RequestsMock, pauses: list[float]) -> None:
    """A refused connection is retried; the pauses double."""
    mocked.get(QUERY, body=requests.ConnectionError("refused"))
    with pytest.raises(AttemptError, match="refused") as caught:
        ask(api)
    assert (caught.value.reason, caught.value.transient) == ("network", True)
    assert pauses == [0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("seconds", "headers", "waited"),
    [(0.0, {}, []), (0.7, {}, [0.25]), (5.0, {"Retry-After": "7"}, []), (60.0, {}, [0.25, 0.5, 1.0])],
)
def test_a_query_is_retried_only_before_the_next_slot(
    api: Api,
    mocked: responses.RequestsMock,
    pauses: list[float],
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    headers: dict[str, str],
    waited: list[float],
) -> None:
    """Its own query is the next attempt. Pauses count as time here, though the test does not sleep."""
    mocked.get(QUERY, status=503, headers=headers)
    began = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: began + sum(pauses))
    with pytest.raises(AttemptError, match="503"):
        api.query("/api/v1/query", {"query": "x"}, api.deadline(), began + seconds)
    assert pauses == waited


def test_a_retry_has_only_the_time_until_the_next_slot(
    api: Api, mocked: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first attempt has all of the deadline."""
    mocked.get(QUERY, status=503)
    deadlines: list[float] = []
    began = time.monotonic()

    def noted(*args: Any, deadline: float, **settings: Any) -> Answer:
        deadlines.append(deadline)
        return call(*args, deadline=deadline, **settings)

    monkeypatch.setattr(time, "monotonic", lambda: began)
    monkeypatch.setattr("bridge.sources.api.call", noted)
    with pytest.raises(AttemptError):
        api.query("/api/v1/query", {"query": "x"}, began + 30, began + 5)
    assert deadlines == [30, 5, 5, 5]


@pytest.mark.parametrize("late", [0.2, 1.0])
def test_a_retry_without_time_does_not_hide_why_the_query_failed(
    mocked: responses.RequestsMock, monkeypatch: pytest.MonkeyPatch, late: float
) -> None:
    """The process is suspended in the pause, beyond the next slot; or the retry ends with the slot, unanswered."""
    began = time.monotonic()
    now = [began]

    def pause(seconds: float) -> None:
        now[0] += seconds + late

    def unanswered(request: requests.PreparedRequest) -> tuple[int, dict[str, str], str]:
        now[0] = began + 1
        raise requests.ReadTimeout

    mocked.get(QUERY, status=422, body=prometheus_error("execution", "many-to-many"))
    mocked.add_callback("GET", QUERY, unanswered)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    with (
        closing(Api(PrometheusConfig(url=URL), Path(), 30.0, pause=pause)) as api,
        pytest.raises(AttemptError, match="many-to-many") as caught,
    ):
        api.query("/api/v1/query", {"query": "x"}, api.deadline(), began + 1)
    assert (caught.value.reason, caught.value.query) == ("execution", "x")
    assert len(mocked.calls) == (2 if late == 0.2 else 1)


@pytest.mark.parametrize(
    ("headers", "waited"),
    [
        ({"Retry-After": "7"}, [7.0]),
        ({"Retry-After": "Mon, 23 Nov 2026 14:00:05 GMT", "Date": "Mon, 23 Nov 2026 14:00:00 GMT"}, [5.0]),
        ({"Retry-After": "soon"}, [0.25]),
        ({"Retry-After": "0"}, [0.25]),
        ({"Retry-After": "31"}, []),
        ({"Retry-After": "Mon, 23 Nov 2026 14:00:05 GMT", "Date": "yesterday"}, []),
    ],
)
def test_retry_after_is_respected_when_it_fits_into_the_slot(
    api: Api, mocked: responses.RequestsMock, pauses: list[float], headers: dict[str, str], waited: list[float]
) -> None:
    """If Retry-After exceeds the deadline, the query is not retried."""
    mocked.get(QUERY, status=503, headers=headers)
    mocked.get(QUERY, body=GOOD)
    if waited:
        assert ask(api) == GOOD.encode()
    else:
        with pytest.raises(AttemptError):
            ask(api)
    assert pauses == waited


def test_no_attempt_begins_after_the_deadline(api: Api, mocked: responses.RequestsMock) -> None:
    """Several columns share one deadline: when it is over, nothing is sent."""
    with pytest.raises(AttemptError, match="no answer within 30 s") as caught:
        api.query("/api/v1/query", {"query": "x"}, time.monotonic() - 1)
    assert caught.value.reason == "timeout"
    assert len(mocked.calls) == 0
