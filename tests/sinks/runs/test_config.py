"""Entries of run_configs: presets, targets, and variables that have no value."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from bridge.domain.times import DAY, MINUTE
from bridge.sinks.runs.config import DEFAULT_PARAMETERS, RunConfig

URL = "http://localhost:1"
OWN: dict[str, Any] = {
    "url": URL,
    "target": {"job": "train"},
    "start": {"path": "/jobs/{{ .Target.job }}"},
    "status": {"path": "/runs/{{ .Reference }}", "value": "state", "map": {}},
}


def entry(**keys: Any) -> dict[str, Any]:
    return {**OWN, **keys}


def test_an_entry_without_a_preset() -> None:
    """Needs start and status; the rest has defaults."""
    made = RunConfig.model_validate(entry())
    assert (made.guarantee, made.on_unknown, made.start_deadline, made.max_age) == ("lookup", "hold", 30 * MINUTE, DAY)
    assert (made.run_id, made.parameters) == ("rb-{{ .ID }}", DEFAULT_PARAMETERS)
    with pytest.raises(ValidationError, match="start"):
        RunConfig.model_validate({"url": URL})


def test_a_preset_is_completed_and_changed() -> None:
    """Keys of the entry win, also within a call."""
    keys = {"url": URL, "preset": "airflow3", "target": {"dag_id": "train"}, "status": {"interval": "1m"}}
    made = RunConfig.model_validate(keys)
    plain = RunConfig.model_validate({**keys, "status": {}})
    assert (made.status.interval, made.status.path) == (MINUTE, plain.status.path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"preset": "airflw3"}, "there is no preset 'airflw3'; did you mean"),
        ({"target": {"a b": "x"}}, "cannot be used as"),
        ({"preset": "airflow3", "target": {}}, "preset airflow3 needs"),
        ({"preset": "airflow3", "target": {"dag_id": "x", "flow": "y"}}, "preset airflow3 has no 'flow'; known are"),
        ({"start": {"path": "/{{ .Target.nope }}"}}, r"start: {{ .Target.nope }} has no value; known are: job"),
        ({"link": "/{{ .Found.id }}"}, r"link: {{ .Found.id }} has no value; known are: none"),
        ({"run_id": "{{ .Nope }}"}, "Nope"),
        ({"guarantee": "maybe"}, "guarantee"),
        (
            {"login": {"path": "/t", "token": "t"}, "http_config": {"authorization": {"credentials": "x"}}},
            "http_config and login both authenticate: remove one",
        ),
    ],
)
def test_wrong_entries_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        RunConfig.model_validate(entry(**keys))


def test_values_of_find_are_variables() -> None:
    """Those of status only of `result`, which comes after it."""
    find = {"path": "/jobs", "values": {"id": "id"}}
    assert RunConfig.model_validate(entry(find=find, link="/{{ .Found.id }}")).find is not None
    status = {**OWN["status"], "values": {"out": "out"}}
    result = {"path": "/{{ .Found.out }}", "model_version": "v"}
    assert RunConfig.model_validate(entry(status=status, result=result)).result is not None
    with pytest.raises(ValidationError, match=r"cancel: {{ .Found.out }} has no value"):
        RunConfig.model_validate(entry(status=status, cancel={"path": "/{{ .Found.out }}"}))


@pytest.mark.parametrize(
    ("http", "expected"), [({}, False), ({"basic_auth": {"username": "a", "password": "b"}}, True)]
)
def test_credentials_of_http_config_are_noticed(http: dict[str, Any], expected: bool) -> None:
    assert RunConfig.model_validate(entry(http_config=http)).authenticated is expected
