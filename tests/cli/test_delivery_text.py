"""Deliveries of one request as text."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.delivery_text import delivery_lines, next_attempt, not_retried, shown_answer
from bridge.domain.times import rfc3339
from tests.support.fake_views import AT, ID

NOW, LATER = AT + 10_000, rfc3339(AT + 60_000)


def delivery(state: str, next_at: str | None = LATER, **more: object) -> dict[str, object]:
    return {
        "configured": True, "destination": "team/coordinator/0",
        "kind": "firing", "state": state, "attempts": 1, "next_at": next_at,
        "updated_at": rfc3339(AT), "reason": "", "status": 0, "answer": "", **more,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("state", "next_at", "text"),
    [
        ("queued", rfc3339(AT), f"due since {rfc3339(AT)}"),
        ("retry", LATER, f"next attempt {LATER}"),
        ("retry", rfc3339(AT), f"due since {rfc3339(AT)}"),
        ("leased", LATER, f"attempt under way, due again at {LATER}"),
        ("leased", rfc3339(AT), f"due since {rfc3339(AT)}"),
        ("delivered", rfc3339(AT), ""),
        ("dead", LATER, ""),
        ("queued", None, ""),
    ],
)
def test_an_attempt_that_is_overdue_is_no_next_attempt(state: str, next_at: str | None, text: str) -> None:
    """After a kill, the bridge was down when the lease ended."""
    assert next_attempt(delivery(state, next_at), NOW) == text


def test_every_delivery_has_its_line_and_each_state_its_command() -> None:
    """Without a delivery, nothing was sent."""
    request = {"id": ID, "deliveries": [delivery("dead"), delivery("retry")]}
    assert [" ".join(line.split()) for line in delivery_lines(request, NOW)] == [
        f"team/coordinator/0 firing dead after 1 attempt since {rfc3339(AT)}",
        f"team/coordinator/0 firing retry after 1 attempt next attempt {LATER}",
        f"to retry at once: retrain-bridge requests retry {ID[:8]}",
        f"to send the dead ones again: retrain-bridge requests redrive {ID[:8]}",
    ]
    assert delivery_lines({"id": ID, "deliveries": []}, NOW) == ["none: nothing was sent"]


def test_a_delivery_without_its_destination_is_discarded_and_not_sent() -> None:
    """One that was discarded, and one that was delivered, need no command."""
    gone: dict[str, Any] = {"configured": False, "destination": "on call/webhook/0"}
    items = [delivery("retry", **gone), delivery("dead", **gone), delivery("dead", reason="discarded", **gone)]
    request = {"id": ID, "deliveries": [*items, delivery("delivered", **gone), delivery("dead", reason="discarded")]}
    lines = [" ".join(line.split()) for line in delivery_lines(request, NOW)]
    assert lines[0] == "on call/webhook/0 firing retry after 1 attempt destination not configured any more"
    assert lines[1] == "on call/webhook/0 firing dead after 1 attempt destination not configured any more"
    assert lines[2] == f"on call/webhook/0 firing dead after 1 attempt since {rfc3339(AT)} discarded"
    command = "retrain-bridge deliveries discard --receiver 'on call'"
    assert lines[5:] == [f"to end those whose destination is not configured any more: {command}"]
    assert not_retried({"id": ID}, items[::2], NOW) == [
        "on call/webhook/0 (firing): retry; destination not configured any more",
        f"on call/webhook/0 (firing): discarded at {rfc3339(AT)}",
    ]


def test_an_answer_that_is_cut_ends_in_dots() -> None:
    assert shown_answer("x" * 200) == "x" * 200
    assert shown_answer("x" * 201) == "x" * 200 + "..."


def test_each_delivery_that_was_not_retried_has_its_reason() -> None:
    """It has ended, an attempt is under way, or it is due."""
    states = [delivery("delivered"), delivery("dead"), delivery("leased"), delivery("retry", rfc3339(AT))]
    assert not_retried({"id": ID}, states, NOW) == [
        f"team/coordinator/0 (firing): delivered at {rfc3339(AT)}",
        f"team/coordinator/0 (firing): dead; retrain-bridge requests redrive {ID[:8]} sends it again",
        f"team/coordinator/0 (firing): leased, attempt under way, due again at {LATER}",
        f"team/coordinator/0 (firing): retry, due since {rfc3339(AT)}",
    ]
