"""Plan of a run: its variables, and the start call that does not change any more."""

from __future__ import annotations

import json

from bridge.ports import Run
from bridge.sinks.base import SinkContext
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.plan import Plan, basic, freeze, of_run
from tests.sinks.runs.test_config import OWN
from tests.support.notifications import T0, request

REQUEST = request(reason='a "quote" \u2028 \U0001f986')
CONFIG = RunConfig.model_validate({**OWN, "start": {"path": "/jobs/{{ .Target.job }}", "json": "{{ .Parameters }}"}})


def variables(index: int = 0) -> dict[str, object]:
    return basic(CONFIG, REQUEST, SinkContext("ops", index), T0)


def test_variables_of_a_request() -> None:
    found = variables()
    assert (found["Project"], found["Pipeline"], found["Version"], found["Rule"]) == (
        "shop",
        "ranking",
        "7",
        "DriftHigh",
    )
    assert (found["ID"], found["RunID"]) == (REQUEST.id, f"rb-{REQUEST.id}")
    assert (found["Now"], found["Target"]) == ("2023-11-14T22:13:20.000Z", {"job": "train"})
    assert found["Parameters"]["reason"] == REQUEST.reason  # type: ignore[index]


def test_each_entry_of_a_receiver_has_a_name_of_its_own() -> None:
    """They may start runs of one flow; the first keeps the receiver's name."""
    assert [variables(index)["Receiver"] for index in (0, 1)] == ["ops", "ops/1"]


def test_a_plan_comes_back_from_its_text() -> None:
    plan = freeze(CONFIG, variables(), {"id": 7})
    again = Plan.decode(plan.encode())
    assert again == plan
    assert again.start.path == "/jobs/train"
    assert json.loads(again.start.data or "")["reason"] == REQUEST.reason


def test_what_may_be_large_is_not_kept() -> None:
    """The start call has it already."""
    kept = freeze(CONFIG, variables(), {"id": 7}).variables
    assert not {"Request", "Annotations", "Labels"} & set(kept)
    assert kept["Found"] == {"id": 7}


def test_later_calls_know_the_reference() -> None:
    text = freeze(CONFIG, variables(), {}).encode()
    found = of_run(Run("id", "ops/run/0", "rb-id", text, T0, reference="r/1"))
    assert (found["Reference"], found["ID"]) == ("r/1", REQUEST.id)
