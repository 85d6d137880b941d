"""Operator commands on requests, and `feedback`."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Api, Command


def test_feedback_is_sent_with_its_author(command: Command, api: Api) -> None:
    """An opinion that there is not is refused before anything is sent."""
    asked, answers = api
    answers["data"] = {"id": "x", "feedback": "false"}
    assert command("feedback", "x", "false", "--by=ada", "--note=a blip")[1] == "x: false\n"
    assert asked[-1] == ("POST", "/api/v1/requests/x/feedback")
    count = len(asked)
    assert command("feedback", "x", "superb")[0] == 2
    assert len(asked) == count


@pytest.mark.parametrize("action", ["approve", "release", "withdraw", "cancel", "start-again"])
def test_an_action_is_posted_and_the_new_state_is_printed(command: Command, api: Api, action: str) -> None:
    """The id is quoted in the path, and the gate that still holds the request is printed."""
    calls, answers = api
    answers["data"] = {"id": "a/b", "state": "held", "hold": "cooldown"}
    assert command("requests", action, "a/b", "--by=ada") == (0, "a/b: held (cooldown)\n", "")
    assert calls == [("POST", f"/api/v1/requests/a%2Fb/{action}")]


def test_a_forced_request_does_not_look_the_model_up(command: Command, api: Api) -> None:
    """One call: it creates the request."""
    calls, answers = api
    answers["data"] = {"id": "x", "state": "requested"}
    words = ("requests", "create", "--project=a", "--pipeline=b", "--version=c", "--reason=d", "--force")
    assert command(*words) == (0, "x: requested\n", "")
    assert calls == [("POST", "/api/v1/requests")]
    answers["data"] = {"id": "x", "state": "closed", "message": "sent, and no receiver reports its end"}
    assert command(*words) == (0, "x: closed: sent, and no receiver reports its end\n", "")
