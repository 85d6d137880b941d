"""Timeline of a request."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from bridge.domain.request import MANUAL, Episode, OperatorAction, RecoveryVerdict, RequestState
from bridge.ports import DeliveryState, Kind
from bridge.web.pages.timeline import timeline
from tests.support.fake_views import AT, DELIVERY, EPISODE, REQUEST

DELIVERED = replace(DELIVERY, state=DeliveryState.DELIVERED, updated_at=AT + 2_000)
ALERT = replace(DELIVERED, destination="team/alertmanager/0", attempts=1, updated_at=AT + 1_000)
ENDED = structs.replace(EPISODE, ended_at=AT + 60_000, end_reason="resolved")


def told(*given: object) -> list[tuple[int, str, str]]:
    return [(step.at - AT, step.event, step.text) for step in timeline(*given)]  # type: ignore[arg-type]


def test_the_alert_fires_when_it_is_delivered_and_is_resolved_with_the_episode() -> None:
    """Resolved alerts are posted again and again instead of being queued; waiting deliveries are no events."""
    before: Episode = structs.replace(ENDED, started_at=AT - 10_000, ended_at=AT - 5_000)
    assert told(REQUEST, [DELIVERY, DELIVERED, ALERT], [ENDED, before])[2:] == [
        (0, "sent", "to team/coordinator/0"),
        (1_000, "alert fired", "to team/alertmanager/0, attempt 1"),
        (2_000, "delivered", "to team/coordinator/0, attempt 2"),
        (60_000, "episode ended", "resolved; alert resolved: team/alertmanager/0"),
    ]
    assert told(REQUEST, [DELIVERED], [ENDED])[-1] == (60_000, "episode ended", "resolved")
    assert told(REQUEST, [ALERT], [EPISODE])[-1][1] == "alert fired"


def test_the_end_of_an_episode_is_no_second_delivery_of_the_request() -> None:
    """Receivers with send_resolved get both."""
    resolved = replace(DELIVERED, kind=Kind.RESOLVED, destination="team/webhook/0", attempts=1)
    assert told(REQUEST, [resolved])[-1][1:] == ("end of the episode delivered", "to team/webhook/0, attempt 1")


def test_a_request_by_hand_has_no_episode() -> None:
    """It begins with the operator."""
    acts = (OperatorAction("create", "ada", AT, "fresh labels"),)
    made = structs.replace(REQUEST, request=structs.replace(REQUEST.request, rule=MANUAL), acts=acts)
    assert [event for _, event, _ in told(made, [])] == ["triggered", "create", "sent"]


def test_the_end_of_the_retraining_and_its_verdict_are_events() -> None:
    """A state on the way is one, too."""
    running = structs.replace(REQUEST, state=RequestState.RUNNING, updated_at=AT + 5_000, message="epoch 1")
    assert told(running, [])[-1] == (5_000, "running", "epoch 1")
    done = structs.replace(
        running, state=RequestState.SUCCEEDED, ended_at=AT + 9_000, verdict=RecoveryVerdict.NOT_RECOVERED,
        verdict_at=AT + 20_000,
    )  # fmt: skip
    assert told(done, [])[-2:] == [(9_000, "succeeded", "epoch 1"), (20_000, "recovery verdict", "not recovered")]
