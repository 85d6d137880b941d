"""Validation of request bodies: valid ones, and errors that name the field."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from bridge.coordinator.body import BodyError, parse_request
from bridge.coordinator.records import Origin
from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RetrainRequest, request_id
from tests.support.coordinator import ID, NOON, body


def raw(**changes: Any) -> bytes:
    return json.dumps(body(**changes)).encode()


def test_the_request_of_a_bridge_is_accepted_unchanged() -> None:
    """The JSON of a RetrainRequest passes, and the command gets the same values, NaN as a string included."""
    model = ModelKey("shop", "churn", "3")
    evidence = Evidence("Drift", "drift", "drift", "model_drift", 0.702, float("nan"), float("inf"))
    request = RetrainRequest(
        model, "drift", NOON, request_id(model, "Drift", NOON, 1), "Drift", NOON, evidence=(evidence,)
    )
    sent = {**request.to_json(), "generator_url": "http://bridge/1"}
    taken = parse_request(json.dumps(sent).encode())
    assert json.loads(taken.body) == sent
    assert (taken.id, taken.project, taken.pipeline, taken.version) == (request.id, "shop", "churn", "3")
    assert taken.origin is Origin.API


def test_five_fields_are_enough() -> None:
    """A user with curl needs id, project, pipeline, version and reason; the command gets the defaults of the rest."""
    short = {"id": ID, "project": "shop", "pipeline": "churn", "version": "3", "reason": "by hand"}
    taken = json.loads(parse_request(json.dumps(short).encode()).body)
    assert taken["attempt"] == 1
    assert taken["evidence"] == []


def test_fields_of_a_newer_bridge_reach_the_command() -> None:
    """Unknown fields are stored."""
    assert json.loads(parse_request(raw(severity="high")).body)["severity"] == "high"


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"id": "ABC"}, "id", "must match ^[0-9a-f]{32}$"),
        ({"id": ID + "\n"}, "id", "must match ^[0-9a-f]{32}$"),
        ({"project": ""}, "project", "must not be empty"),
        ({"pipeline": None}, "pipeline", "must be text, not nothing"),
        ({"version": 3}, "version", "must be text, not a number"),
        ({"version": "1\0"}, "version", "must not contain the character U+0000"),
        ({"reason": "a\0b"}, "reason", "must not contain the character U+0000"),
        ({"attempt": 0}, "attempt", "must be at least 1"),
        ({"attempt": True}, "attempt", "must be a whole number, not a boolean"),
        ({"triggered_at": "2026-03-01"}, "triggered_at", "'2026-03-01' has no time zone; add Z or an offset"),
        ({"labels": {"a": 1}}, "labels.a", "must be text, not a number"),
        ({"evidence": [{"rule": 1}]}, "evidence[0].rule", "must be text, not a number"),
        ({"reasons": "drift"}, "reasons", "must be a list, not text"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(changes: dict[str, Any], field: str, message: str) -> None:
    """One wrong field gives one error with its path and cause."""
    with pytest.raises(BodyError) as caught:
        parse_request(raw(**changes))
    assert caught.value.fields == ((field, message),)


def test_every_wrong_field_is_named_at_once() -> None:
    with pytest.raises(BodyError) as caught:
        parse_request(b'{"id": "x", "late": "yes"}')
    assert [field for field, _ in caught.value.fields] == ["id", "project", "pipeline", "version", "reason", "late"]


@pytest.mark.parametrize(
    ("sent", "detail"),
    [
        (b"", "the body is not JSON"),
        (b"{", "the body is not JSON"),
        (b"[1]", "the body must be a JSON object"),
        (b"\xff\xfe{", "the body is not UTF-8"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[" * 20_000, "nested too deeply"),
        (b'{"a": ' + b"9" * 5000 + b"}", "the body is not JSON"),
    ],
)
def test_what_is_not_a_json_object_is_refused(sent: bytes, detail: str) -> None:
    with pytest.raises(BodyError, match=detail):
        parse_request(sent)


def test_a_lone_surrogate_is_refused_wherever_it_is() -> None:
    """Such a text has no UTF-8 form, so no ledger and no environment could hold it."""
    for name in ("reason", "something_new"):
        with pytest.raises(BodyError):
            parse_request(raw(**{name: "\ud800"}))


def test_an_infinite_number_in_an_unknown_field_is_refused() -> None:
    """1e999 is read as infinity, which the command's JSON cannot represent."""
    with pytest.raises(BodyError, match="the number 1e999 is too large"):
        parse_request(raw().replace(b'"late": false', b'"late": false, "new": 1e999'))


def test_a_body_that_grew_too_large_is_refused() -> None:
    """One environment variable holds 128 KiB at most."""
    with pytest.raises(BodyError, match="larger than 120000 bytes"):
        parse_request(raw(reason="x" * 120_000))


def test_damaged_bodies_are_refused_and_never_crash() -> None:
    """2,000 random cuts and changes of a good body: either a submission or a BodyError."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    good, outcomes = raw(), set()
    for _ in range(2000):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 3)):
            offset = rng.randrange(len(damaged))
            damaged[offset : offset + rng.randint(0, 4)] = rng.choice([b"", b"null", b'"', b"[", b"}", b"-1", b"\x00"])
        try:
            outcomes.add(type(parse_request(bytes(damaged))).__name__)
        except BodyError:
            outcomes.add("BodyError")
    assert outcomes <= {"Submission", "BodyError"}
    assert "BodyError" in outcomes
