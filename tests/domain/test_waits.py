"""Time limits of calls of the API."""

from __future__ import annotations

import pytest

from bridge.domain import waits

CALLS = [
    ("GET", "/api/v1/explain?project=shop"), ("GET", "/decisions/9?again=true"), ("GET", "/api/v1/decisions?limit=1"),
    ("GET", "/api/v1/history?rule=R"), ("POST", "/api/v1/silences"), ("POST", "/api/v1/silences/a/expire"),
    ("POST", "/api/v1/requests/a/approve"),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_each_caller_waits_longer_than_the_server_takes(method: str, path: str) -> None:
    """A standby for the active bridge, and the command line for either."""
    assert waits.of_server(path) < waits.of_standby(path) < waits.of_client(method, path)


def test_only_slow_calls_take_long() -> None:
    """The replay of history with its last query; the change of a silence with two readings of all silences."""
    assert waits.of_server("/api/v1/explain?at=x") == waits.of_server("/decisions/9") == waits.REPLAY + waits.QUERY
    assert waits.of_server("/api/v1/silences/a/expire") == 3 * waits.SILENCE
    assert waits.of_server("/api/v1/decisions") == waits.of_server("/api/v1/models?q=/explain") == 20
    assert waits.of_client("GET", "/api/v1/decisions") == 30


def test_the_command_line_waits_for_the_repeats_of_a_standby() -> None:
    """During a take-over, and for the attempt that began just before its end."""
    assert waits.of_client("POST", "/api/v1/pause") > waits.ATTEMPT + waits.TAKE_OVER + waits.ATTEMPT
