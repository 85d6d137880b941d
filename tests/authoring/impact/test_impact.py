"""Impact of requests: counts, intervals, the comparison with breaches that were not retrained, and advice."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.authoring.impact.impact import Tally, advice, impact, sentences


def request(number: int, state: str = "succeeded", verdict: str | None = "recovered", **more: Any) -> dict[str, Any]:
    sent = None if state in {"withdrawn", "expired", "held"} else "2026-01-01T00:00:00.000Z"
    return {
        "id": f"{number:032x}", "project": "shop", "pipeline": "ranking", "rule": "Drifted", "state": state,
        "verdict": verdict, "sent_at": sent, "acts": [], "feedback": None,
    } | more  # fmt: skip


def alone(number: int, state: str = "withdrawn", **more: Any) -> dict[str, Any]:
    return request(number, state, None, **more)


def test_retrained_breaches_are_compared_with_those_that_were_held() -> None:
    """What ended by itself counts as recovered; what a person withdrew or is still held does not count."""
    by_hand = alone(20, acts=[{"what": "withdraw", "who": "ada"}])
    requests = [
        *(request(number) for number in range(8)),
        request(8, verdict="not_recovered"), request(9, verdict="inconclusive"),
        *(alone(number) for number in (10, 11)), alone(12, "expired"), alone(13, "expired"), by_hand, alone(21, "held"),
        request(22, "failed", None),
    ]  # fmt: skip
    found = impact(requests, [])
    assert found.retrained is not None
    assert found.alone is not None
    assert (round(found.retrained.value, 3), found.alone.value) == (0.889, 0.5)
    assert found.total.row("all") == {
        "name": "all", "requests": 17, "sent": 11, "helped": 8, "not_helped": 1, "inconclusive": 1, "failed": 1,
        "ended_alone": 2, "expired": 2,
    }  # fmt: skip
    said = sentences(found, "90d")
    assert said[0].startswith("In the last 90d: 17 requests, 11 sent; 8 retrainings helped, 1 did not, 1 inc")
    assert said[1].startswith("After a retraining, 89 % of models recovered; without one, 50 %. The difference is 39 p")


def test_without_a_group_to_compare_with_nothing_is_claimed() -> None:
    """No difference, no interval."""
    found = impact([request(1)], [])
    assert found.effect is None
    assert sentences(found, "90d")[1].startswith("Breaches with and without a retraining cannot be compared yet")


def test_holds_are_counted_once_for_a_request_and_gate() -> None:
    """However often a gate held it; requests of other periods are left out."""
    held = [
        {"request_id": request(1)["id"], "reason": "Drifted: drift 0.7 above 0.6; held: cooldown"},
        {"request_id": request(1)["id"], "reason": "held: cooldown"},
        {"request_id": request(1)["id"], "reason": "held: budget"},
        {"request_id": "f" * 32, "reason": "held: storm"},
        {"request_id": None, "reason": "a group storms"},
    ]
    found = impact([request(1), request(2)], held)
    assert dict(found.rules["Drifted"].held) == {"cooldown": 1, "budget": 1}
    assert dict(found.pipelines["shop/ranking"].held) == {"cooldown": 1, "budget": 1}


@pytest.mark.parametrize(
    ("tally", "what"),
    [
        (Tally(requests=10, helped=9, not_helped=1), "keep"),
        (Tally(requests=10, helped=0, not_helped=8), "delete or replace"),
        (Tally(requests=10, helped=3, not_helped=3, ended_alone=4), "tighten"),
        (Tally(requests=10, helped=5, not_helped=3, false=4), "tighten"),
        (Tally(requests=10, helped=5, not_helped=3, late=4), "loosen"),
        (Tally(requests=4, helped=0, not_helped=4), "wait"),
        (Tally(), "wait"),
    ],
)
def test_a_rule_gets_advice_from_its_outcomes(tally: Tally, what: str) -> None:
    """A few outcomes are not enough."""
    assert advice(tally)[0] == what
