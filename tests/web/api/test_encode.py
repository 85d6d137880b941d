"""Encoding of views: numbers, instants, optional members."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from msgspec import structs

from bridge.ports import Pause
from bridge.web.api import encode
from bridge.web.api.encode import go_exponent
from tests.support.fake_views import (
    ALERT,
    AT,
    DECISION,
    DELIVERY,
    NAN,
    REQUEST,
    RULE,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1e+00"), (0.702, "7.02e-01"), (1234.5, "1.2345e+03"), (0.1 + 0.2, "3.0000000000000004e-01"), (0.0, "0e+00"),
     (float("inf"), "+Inf"), (NAN, "NaN"), (-2.5e-7, "-2.5e-07")],
)  # fmt: skip
def test_values_of_alerts_are_formatted_as_in_go(value: float, text: str) -> None:
    """Alert values have the format of Prometheus."""
    assert go_exponent(value) == text


@pytest.mark.parametrize(
    ("value", "encoded"),
    [(None, None), (0.0, 0.0), (1.5, 1.5), (math.nan, "NaN"), (math.inf, "+Inf"), (-math.inf, "-Inf")],
)
def test_numbers_that_json_does_not_know_are_text(value: float | None, encoded: object) -> None:
    assert encode.number(value) == encoded


def test_an_instant_that_has_not_happened() -> None:
    """Null, or Go's zero time where Prometheus has it."""
    assert (encode.time_or_none(0), encode.time_or_zero(0)) == (None, "0001-01-01T00:00:00Z")
    assert encode.time_or_none(AT) == encode.time_or_zero(AT) == "2023-11-14T22:13:20.000Z"


def test_optional_members_are_absent() -> None:
    """As in Prometheus; an empty text would be read as an error."""
    rule = msgspec.json.decode(
        msgspec.json.encode(encode.rule(replace(RULE, last_error=""), {}, {}, 0, alerts=[ALERT]))
    )
    assert "lastError" not in rule
    assert "keepFiringSince" not in rule["alerts"][0]
    assert rule["retrainings"] == {"recovered": 0, "not_recovered": 0, "inconclusive": 0}
    assert "totals" not in rule


def test_a_decision_on_a_whole_rule_has_no_model() -> None:
    found = encode.decision(structs.replace(DECISION, model=None, request_id="", query_time=0, statistic=math.inf))
    assert (found.project, found.pipeline, found.version) == (None, None, None)
    assert (found.request_id, found.query_time, found.statistic) == (None, None, "+Inf")


@pytest.mark.parametrize(
    ("project", "pipeline", "scope"),
    [("", "", "everything"), ("shop", "", "shop"), ("shop", "ranking", "shop/ranking")],
)
def test_a_pause_has_a_scope(project: str, pipeline: str, scope: str) -> None:
    assert encode.pause(Pause(project, pipeline, AT, "ada", AT)).scope == scope


def test_a_request_without_feedback_or_shared_cause() -> None:
    found = encode.request_with_deliveries(structs.replace(REQUEST, hold_until=0), [DELIVERY], [], ())
    assert (found.feedback, found.shared_cause, found.hold_until) == (None, None, None)
    assert (found.deliveries[0].status, found.deliveries[0].configured, found.runs) == (503, False, [])
    assert encode.forecast(None).next_retraining is None
