"""Configuration of the calls: what is refused, and the values of a target."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from bridge.domain.times import HOUR, MINUTE, SECOND
from bridge.sinks.runs.calls import Call, FindCall, LoginCall, LookupCall, StartCall, StatusCall

FIND = FindCall.model_validate({"path": "/x", "values": {"job": "id", "name": "meta.name"}})


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        (Call, {"path": "runs"}, "must start with /"),
        (Call, {"path": "/{{ .Nope }}"}, "Nope"),
        (Call, {"path": "/x", "json": {}, "form": {"a": "b"}}, "at most one of"),
        (Call, {"path": "/x", "method": "HEAD"}, "method"),
        (Call, {"path": "/x", "success": [99]}, "greater than or equal to 100"),
        (Call, {"path": "/x", "success_if": "a."}, "is not a JMESPath expression"),
        (Call, {"path": "/x", "body": {}}, "Extra inputs"),
        (LoginCall, {"path": "/x", "token": "t", "username": "a", "username_file": "b"}, "at most one of"),
        (LoginCall, {"path": "/x", "token": "t", "password": "a", "password_file": "b"}, "at most one of"),
        (LookupCall, {"path": "/x", "attempts": 0}, "greater than or equal to 1"),
        (StatusCall, {"path": "/x", "value": "s"}, "map"),
    ],
)
def test_wrong_keys_are_refused(kind: type[BaseModel], keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        kind.model_validate(keys)


def test_an_error_never_shows_a_password() -> None:
    keys = {"path": "/x", "token": "t", "password": "hunter2", "password_file": "b"}
    with pytest.raises(ValidationError) as caught:
        LoginCall.model_validate(keys)
    assert "hunter2" not in str(caught.value)


def test_defaults() -> None:
    start = StartCall.model_validate({"path": "/x"})
    assert (start.method, start.already, start.not_found_grace) == ("POST", (409,), 10 * MINUTE)
    status = StatusCall.model_validate({"path": "/x", "value": "s", "map": {"running": ["RUN"]}})
    assert (status.method, status.interval, status.longest) == ("GET", 15 * SECOND, 5 * MINUTE)
    assert LoginCall.model_validate({"path": "/x", "token": "t"}).ttl == 12 * HOUR


def test_values_of_a_target() -> None:
    """A value that is absent is None."""
    assert FIND.found({"id": 7, "meta": {}}) == {"job": 7, "name": None}


@pytest.mark.parametrize(("item", "lacks"), [({"id": 0}, False), ({"meta": {"name": "x"}}, False), ({"page": 1}, True)])
def test_a_response_without_any_value_is_about_something_else(item: dict[str, Any], lacks: bool) -> None:
    """One value is enough, even zero."""
    text = FIND.lacking(FIND.found(item))
    assert text == ("the response about the target lacks job (id), name (meta.name)" if lacks else "")


def test_a_target_without_values_lacks_nothing() -> None:
    assert FindCall.model_validate({"path": "/x"}).lacking({}) == ""
