"""Reading of look-ups: found, absent, foreign or unclear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bridge.net.session import Answer
from bridge.sinks.runs.calls import LookupCall
from bridge.sinks.runs.lookup import Answered, FoundRun, find_run

ONE = {"path": "/runs/{{ .RunID }}", "run": "id", "link": "url", "match": {"tag": "{{ .ID }}"}}
LIST = {**ONE, "item": "items"}
MINE = {"id": 7, "tag": "x", "url": "http://o/7"}


def look(call: dict[str, Any], body: Any, status: int = 200) -> FoundRun | Answered:
    answer = Answer(status, {}, body if isinstance(body, bytes) else json.dumps(body).encode())
    return find_run(LookupCall.model_validate(call), answer, {"ID": "x", "RunID": "rb-x"}, "rb-x")


@pytest.mark.parametrize(
    ("call", "body", "found"),
    [
        (ONE, MINE, FoundRun("7", "http://o/7")),
        (ONE, {**MINE, "tag": "y"}, Answered.FOREIGN),  # another run has the name
        (ONE, {**MINE, "url": "javascript:x"}, FoundRun("7")),
        (LIST, {"items": [{"id": 1, "tag": "y"}, MINE, {"id": 9, "tag": "x"}]}, FoundRun("7", "http://o/7")),
        (LIST, {"items": [{"id": 1, "tag": "y"}]}, Answered.ABSENT),  # a list may hold runs of others
        (LIST, {"items": []}, Answered.ABSENT),
        (LIST, {}, Answered.ABSENT),
        (LIST, {"items": [{"tag": "x"}]}, Answered.ABSENT),  # without an id it cannot be followed
        ({"path": "/x"}, {"any": 1}, FoundRun("rb-x")),  # the name is the id
        (ONE, b"<html>", Answered.UNCLEAR),
        ({**ONE, "success_if": "ok"}, MINE, Answered.UNCLEAR),
    ],
)
def test_a_look_up(call: dict[str, Any], body: Any, found: FoundRun | Answered) -> None:
    assert look(call, body) == found


@pytest.mark.parametrize(
    ("status", "found"), [(404, Answered.ABSENT), (500, Answered.UNCLEAR), (403, Answered.UNCLEAR)]
)
def test_only_some_statuses_mean_that_there_is_no_run(status: int, found: Answered) -> None:
    """A server that fails, or refuses the credentials, does not say that nothing was started."""
    assert look(ONE, {}, status) is found
    assert look({**ONE, "absent": [410]}, {}, 404) is Answered.UNCLEAR
