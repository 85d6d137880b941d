"""Problem details."""

from __future__ import annotations

import msgspec

from bridge.net.problem import PROBLEM, FieldError, Problem, ProblemError, answer, path


def test_a_failure_has_the_form_of_rfc_9457() -> None:
    """With the error type of Prometheus, and every invalid field."""
    response = answer(ProblemError(404, "there is no rule Drift", [("rule", "is unknown")], {"Retry-After": "1"}))
    assert (response.status_code, response.media_type, response.headers["retry-after"]) == (404, PROBLEM, "1")
    fields = [FieldError("rule", "is unknown")]
    expected = Problem("about:blank", "Not Found", 404, "there is no rule Drift", error_type="not_found", errors=fields)
    assert msgspec.json.decode(bytes(response.body), type=Problem) == expected


def test_a_location_is_written_as_in_code() -> None:
    """Indices in brackets."""
    assert path(("evidence", 0, "rule")) == "evidence[0].rule"
