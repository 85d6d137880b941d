"""Query failures: reason, whether to retry, and the message."""

from __future__ import annotations

import json

import pytest

from bridge.domain.errors import SourceError
from bridge.domain.times import MINUTE, SECOND
from bridge.sources.config import PrometheusConfig
from bridge.sources.failures import (
    ONCE,
    SEVERAL,
    TWICE,
    advice,
    broken_answer,
    is_html,
    of_client,
    of_error_type,
    of_network,
    of_status,
)

HTML = {"Content-Type": "text/html; charset=utf-8"}


def envelope(kind: str, text: str = "text") -> bytes:
    return json.dumps({"status": "error", "errorType": kind, "error": text}).encode()


@pytest.mark.parametrize(
    ("status", "body", "reason", "transient", "tries"),
    [
        (400, envelope("bad_data"), "bad_data", False, ONCE),
        (422, envelope("execution"), "execution", True, TWICE),
        (503, envelope("timeout"), "timeout", True, SEVERAL),
        (503, envelope("canceled"), "canceled", True, ONCE),
        (401, envelope("internal"), "unauthorized", False, ONCE),  # a proxy writes it: the status decides
        (429, envelope("bad_data"), "rate_limited", True, SEVERAL),
        (429, b"the request has been blocked (err-mimir-query-blocked)", "limit", False, ONCE),
        (400, b'unsupported path requested: "/select/prometheus/api/v1/query"', "not_prometheus", False, ONCE),
        (503, envelope("surprise"), "unavailable", True, SEVERAL),
        (404, b"<html>", "not_prometheus", False, ONCE),
        (500, b"oops", "internal", True, ONCE),
        (418, b"", "not_prometheus", False, ONCE),
        (502, b"[1]", "unavailable", True, SEVERAL),
        (502, b'{"errorType": 3, "error": []}', "unavailable", True, SEVERAL),
    ],
)
def test_a_status_has_a_reason(status: int, body: bytes, reason: str, transient: bool, tries: int) -> None:
    error = of_status(status, {}, body)
    assert (error.reason, error.transient, error.tries, error.status) == (reason, transient, tries, status)
    assert str(error).startswith(f"HTTP {status}")


def test_a_redirect_names_the_setting() -> None:
    error = of_status(302, {"Location": "https://login.example/"}, b"")
    assert (error.reason, error.tries) == ("not_prometheus", ONCE)
    assert "redirected (302) to https://login.example/" in str(error)
    assert "follow_redirects: true" in str(error)


def test_a_message_is_short_and_hides_secrets() -> None:
    """A page is not shown; a long text is cut; a password of a URL is redacted."""
    assert str(of_status(502, HTML, b"<html>" + b"x" * 9000)) == "HTTP 502: an HTML page"
    assert len(str(of_status(500, {}, b"x" * 9000))) < 400
    assert "hunter2" not in str(of_status(500, {}, b"http://ada:hunter2@host/"))


@pytest.mark.parametrize(
    ("status", "headers", "wait"),
    [
        (429, {"Retry-After": "7"}, 7 * SECOND),
        (503, {"Retry-After": "Wed, 15 Nov 2023 00:02:00 GMT", "Date": "Wed, 15 Nov 2023 00:00:00 GMT"}, 2 * MINUTE),
        (503, {"Retry-After": "soon"}, 0),
        (400, {"Retry-After": "7"}, 0),  # not tried again
    ],
)
def test_a_server_may_set_retry_after(status: int, headers: dict[str, str], wait: int) -> None:
    """A date counts from the server's own clock."""
    assert of_status(status, headers, b"").wait == wait


@pytest.mark.parametrize(
    ("reason", "word", "transient", "tries"),
    [
        ("timeout", "timeout", True, SEVERAL), ("tls", "network", False, ONCE), ("too_large", "limit", False, ONCE),
        ("credential", "unauthorized", False, ONCE), ("surprise", "network", True, SEVERAL),
    ],
)  # fmt: skip
def test_a_request_without_a_response(reason: str, word: str, transient: bool, tries: int) -> None:
    error = of_network("text", reason)
    assert (error.reason, error.transient, error.tries, error.status) == (word, transient, tries, 0)


def test_a_damaged_answer_is_tried_again() -> None:
    assert (broken_answer("cut").transient, broken_answer("cut").tries) == (True, SEVERAL)


def test_exceptions_of_the_client_are_read_back() -> None:
    """prometheus-api-client shows a body as Python bytes."""
    error = of_client("HTTP Status Code 422 (" + repr(envelope("execution", "it's late")) + ")")
    assert (error.reason, error.status, "it's late" in str(error)) == ("execution", 422, True)
    assert of_client("HTTP Status Code 503 (b'\\x')").reason == "unavailable"
    assert of_client("anything else").reason == "not_prometheus"


def test_an_error_with_status_200_has_its_type() -> None:
    assert (of_error_type("timeout", "x").reason, of_error_type("new", "x").reason) == ("timeout", "internal")


@pytest.mark.parametrize(
    ("url", "error", "text"),
    [
        (
            "http://p",
            SourceError("no org id", reason="bad_data", transient=False),
            "set flavor: mimir and tenant: NAME",
        ),
        ("http://p", SourceError("HTTP 401", reason="unauthorized", transient=False), "wants other credentials"),
        ("http://p", SourceError("cannot read file", reason="unauthorized", transient=False), ""),
        ("http://p/graph", SourceError("x", reason="not_prometheus", transient=False), "remove /graph"),
        ("http://p/api/v1/query", SourceError("x", reason="not_prometheus", transient=False), "remove /api/v1/query"),
        ("http://p", SourceError("x", reason="not_prometheus", transient=False), "is it the right server"),
        ("http://p", SourceError("x", reason="timeout", transient=True), ""),
    ],
)
def test_advice_where_the_address_is_probably_wrong(url: str, error: SourceError, text: str) -> None:
    found = advice(PrometheusConfig(url=url), error)
    assert bool(found) is bool(text)
    assert text in found


def test_a_page_is_recognised_without_a_content_type() -> None:
    assert [is_html(*item) for item in ((HTML, b""), ({}, b" \n<!doctype"), ({}, b'{"a": "<"}'))] == [True, True, False]
