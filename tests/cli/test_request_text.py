"""One request as text."""

from __future__ import annotations

import json

import pytest
from msgspec import structs

from bridge.domain.request import Feedback, HoldReason, OperatorAction, RequestState
from bridge.domain.times import rfc3339
from tests.cli.conftest import Command
from tests.support import fake_views
from tests.support.fake_views import AT, ID, REQUEST
from tests.support.web import Site

pytestmark = pytest.mark.usefixtures("site")


def test_a_request_is_shown_with_its_reason_and_deliveries(command: Command) -> None:
    """The next attempt and the last response are there, and the command that retries at once."""
    code, out, _ = command("requests", "show", ID[:8])
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert code == 0
    for line in (
        f"Request {ID}", "model: shop/ranking/7", "state: requested", "reason: Drifted: drift 0.702 above 0.6",
        f"team/coordinator/0 firing retry after 2 attempts due since {rfc3339(AT + 5000)} http_5xx HTTP 503 busy",
        f"to retry at once: retrain-bridge requests retry {ID[:8]}",
        f"feedback: none yet; retrain-bridge feedback {ID[:8]} useful|false|late",
    ):  # fmt: skip
        assert line in lines, out


def test_a_held_request_names_its_gate_and_what_was_done(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the end of the hold, if it is known."""
    held = structs.replace(
        REQUEST, state=RequestState.HELD, hold=HoldReason.COOLDOWN, hold_until=AT + 60_000, sent_at=0,
        acts=(OperatorAction("useful", "ada", AT, "well seen"),), feedback=Feedback.USEFUL,
    )  # fmt: skip
    monkeypatch.setattr(fake_views, "REQUEST", held)
    out = command("requests", "show", ID)[1]
    assert f"held by the gate cooldown, until {rfc3339(AT + 60_000)} at the earliest" in out
    assert f"{rfc3339(AT)} useful by ada: well seen" in out
    monkeypatch.setattr(fake_views, "REQUEST", structs.replace(held, hold_until=0))
    assert "held by the gate cooldown, until the gate opens" in command("requests", "show", ID)[1]
    waits = structs.replace(held, state=RequestState.AWAITING_APPROVAL, hold=HoldReason.APPROVAL, hold_until=0)
    monkeypatch.setattr(fake_views, "REQUEST", waits)
    assert f"awaiting_approval: retrain-bridge requests approve {ID[:8]}" in command("requests", "show", ID)[1]


def test_the_json_has_every_field_of_the_api(command: Command, site: Site) -> None:
    """It can be piped into jq."""
    found = json.loads(command("requests", "show", ID, "-o", "json")[1])
    assert found["id"] == ID
    assert found["deliveries"][0]["answer"] == "busy"
    assert site.queries.records
