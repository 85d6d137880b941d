"""Classification of responses and failures, for every HTTP sink."""

from __future__ import annotations

import pytest

from bridge.net.session import Answer, NetError
from bridge.ports import Result
from bridge.sinks.base import HttpSinkConfig, SinkContext, classify, shown, unreached
from bridge.sinks.webhook import WebhookConfig, WebhookSink
from tests.support.notifications import T0, firing
from tests.support.receiver import Receiver, Reply


@pytest.mark.parametrize(
    ("status", "result", "reason"),
    [
        (200, Result.DELIVERED, "ok"),
        (204, Result.DELIVERED, "ok"),
        (299, Result.DELIVERED, "ok"),
        (300, Result.DEAD, "redirect"),
        (301, Result.DEAD, "redirect"),
        (302, Result.DEAD, "redirect"),
        (307, Result.DEAD, "redirect"),
        (308, Result.DEAD, "redirect"),
        (400, Result.DEAD, "http_4xx"),
        (401, Result.DENIED, "unauthorized"),
        (403, Result.DENIED, "unauthorized"),
        (404, Result.DEAD, "http_4xx"),
        (408, Result.RETRY, "http_4xx"),
        (409, Result.DEAD, "http_4xx"),
        (413, Result.DEAD, "http_4xx"),
        (415, Result.DEAD, "http_4xx"),
        (422, Result.DEAD, "http_4xx"),
        (425, Result.RETRY, "http_4xx"),
        (429, Result.RETRY, "rate_limited"),
        (499, Result.DEAD, "http_4xx"),
        (500, Result.RETRY, "http_5xx"),
        (501, Result.RETRY, "http_5xx"),
        (503, Result.RETRY, "http_5xx"),
        (599, Result.RETRY, "http_5xx"),
        (600, Result.RETRY, "invalid_answer"),
        (199, Result.RETRY, "invalid_answer"),
    ],
)
def test_every_status_has_one_meaning(status: int, result: Result, reason: str) -> None:
    """2xx delivered, 3xx never followed, 401 and 403 denied, 408 425 429 5xx retried, other 4xx dead."""
    delivery = classify(Answer(status, {}, b"", False), T0)
    assert (delivery.result, delivery.reason, delivery.status) == (result, reason, status)


@pytest.mark.parametrize("name", ["Retry-After", "retry-after", "RETRY-AFTER"])
def test_retry_after_is_read_whatever_its_case(name: str) -> None:
    """Header names are case-insensitive."""
    assert classify(Answer(503, {name: "7"}, b"", False), T0).retry_after == 7_000


def test_retry_after_counts_only_where_there_is_a_retry() -> None:
    """A redirect may carry it as well, for a retry that never happens."""
    assert classify(Answer(301, {"Retry-After": "7"}, b"", False), T0).retry_after == 0


def test_a_long_answer_is_capped_and_on_one_line() -> None:
    """The stored text is displayed in a log line and a table cell."""
    text = shown(Answer(400, {}, b"no\r\nsuch\x00\x1bpipeline " + b"x" * 100_000, True))
    assert text.startswith("no such pipeline xxx")
    assert len(text) == 512


def test_secrets_in_an_answer_are_hidden() -> None:
    """Some receivers echo the request that they refuse."""
    text = shown(Answer(400, {}, b"cannot reach http://user:hunter2@db.example/x?token=abc", False))
    assert "hunter2" not in text
    assert "abc" not in text


@pytest.mark.parametrize(
    ("reason", "shown_as"),
    [
        ("timeout", "timeout"),
        ("network", "network"),
        ("tls", "tls"),
        ("credential", "credential"),
        ("too_large", "invalid_answer"),
    ],
)
def test_an_attempt_without_an_answer_is_tried_again(reason: str, shown_as: str) -> None:
    """Any failure may be temporary: no delivery is abandoned because of the network."""
    delivery = unreached(NetError("it failed", reason))
    assert (delivery.result, delivery.reason, delivery.answer) == (Result.RETRY, shown_as, "it failed")


def test_a_destination_is_named_by_receiver_integration_and_place() -> None:
    """The id of its queue, stable over restarts."""
    assert str(SinkContext("oncall", 2).destination("webhook")) == "oncall/webhook/2"


def test_ordinary_extra_headers_are_allowed() -> None:
    """A tenant header, for example."""
    headers = {"X-Tenant": {"values": ["a"]}}
    config = HttpSinkConfig.model_validate({"url": "http://x.example", "http_config": {"http_headers": headers}})
    assert config.http_config.http_headers["X-Tenant"].values == ("a",)


def test_a_fetched_token_that_is_refused_is_fetched_again() -> None:
    """OAuth 2: after a 401 the next attempt does not come with the same token."""
    tokens = [Reply(200, b'{"access_token": "one"}'), Reply(200, b'{"access_token": "two"}')]
    with Receiver(*tokens) as issuer, Receiver(Reply(401), Reply(200)) as server:
        oauth2 = {"client_id": "bridge", "client_secret": "x", "token_url": issuer.url}
        sink = WebhookSink(
            WebhookConfig.model_validate({"url": server.url, "http_config": {"oauth2": oauth2}}), SinkContext("a", 0)
        )
        results = [sink.send(firing(), T0).result for _ in range(3)]
        sink.close()
    assert results == [Result.DENIED, Result.DELIVERED, Result.DELIVERED]
    assert [got.headers["authorization"] for got in server.requests] == ["Bearer one", "Bearer two", "Bearer two"]


def test_a_shown_entry_can_be_read_again() -> None:
    """The displayed configuration has durations as they were written."""
    entry = {"url": "http://x.example", "timeout": "1m30s", "rate_limit": {"requests": 3, "per": "1h"}}
    shown_again = HttpSinkConfig.model_validate(entry).model_dump(mode="json", exclude_defaults=True)
    assert shown_again == entry
