"""What every sink promises, shipped or installed: one suite over all that discovery finds.

A sink with a `url` is tried against a receiver on a real socket; those that are sent something they must understand
(a coordinator's reference) get it from GOOD.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.ports import Delivery, Result, RunFollower, StatusSource
from bridge.sinks.base import BaseSink, SinkContext
from bridge.sinks.registry import sinks
from bridge.store.memory import MemoryStore
from tests.support.notifications import REQUEST, T0, firing, request, resolved
from tests.support.receiver import DRIP, HANG, HANG_UP, RESET, Behaviour, Receiver, Reply

DOCS = Path(__file__).parents[2] / "docs" / "sinks"
GOOD = Reply(200, b'{"reference": "r-1", "state": "accepted"}')
ALL = sorted(sinks())
REQUIRED: dict[str, dict[str, Any]] = {
    "run": {
        "start": {"path": "/runs", "json": {"id": "{{ .ID }}", "reason": "{{ .Reason }}"}, "run": "reference"},
        "status": {"path": "/runs/{{ .Reference }}", "value": "state", "map": {"succeeded": ["done"]}},
    }
}  # keys that an entry needs beside `url`
OVER_HTTP = [name for name in ALL if "url" in sinks()[name].Config.model_fields]
REASONS = frozenset(
    {"ok", "network", "timeout", "tls", "credential", "http_4xx", "http_5xx", "redirect", "rate_limited"}
    | {"unauthorized", "invalid_answer", "internal"}
)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver(GOOD) as server:
        yield server


def build(name: str, receiver: Receiver, **entry: Any) -> BaseSink:
    kind = sinks()[name]
    if name in OVER_HTTP:
        entry = {"url": receiver.url, "timeout": "5s", **REQUIRED.get(name, {}), **entry}
    config = kind.Config.model_validate(entry)
    return kind(config, SinkContext("ops", 0, "http://bridge.example", {"cluster": "eu1"}, ledger=MemoryStore()))


def attempt(name: str, receiver: Receiver, *plan: Behaviour) -> Delivery:
    """One delivery to a receiver that behaves as told."""
    receiver.plan = list(plan)
    # Short only where it must run out: a busy machine may take a while over an ordinary answer.
    sink = build(name, receiver, **({"timeout": "500ms"} if {HANG, DRIP} & set(map(str, plan)) else {}))
    try:
        return sink.send(firing(), T0)
    finally:
        sink.close()


@pytest.mark.parametrize("name", ALL)
def test_a_request_is_delivered_in_one_attempt(name: str, receiver: Receiver) -> None:
    """One call, at most one HTTP request, DELIVERED with reason `ok`."""
    delivery = attempt(name, receiver, GOOD)
    assert (delivery.result, delivery.reason) == (Result.DELIVERED, "ok")
    assert len(receiver.requests) == (1 if name in OVER_HTTP else 0)


@pytest.mark.parametrize("name", ALL)
def test_a_sink_declares_its_integration(name: str, receiver: Receiver) -> None:
    """Its integration is what receivers call it; what it wants and how long an attempt lasts is known."""
    sink = build(name, receiver)
    assert sink.integration == name
    assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
    assert isinstance(sink.sends_resolved, bool)
    assert isinstance(sink.reports_status, bool)
    assert sink.attempt_deadline > 0
    assert sink.reports_status == isinstance(sink, StatusSource | RunFollower)
    sink.close()
    sink.close()


@pytest.mark.parametrize("name", ALL)
def test_unknown_keys_are_refused(name: str) -> None:
    """A typo in an entry must not be a silent default."""
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        sinks()[name].Config.model_validate({"url": "http://x.example", "tmieout": "3s"})


@pytest.mark.parametrize("name", ALL)
def test_every_sink_has_a_page_that_names_its_keys(name: str) -> None:
    """docs/sinks/<name>.md, with every key of the entry; plugins document themselves elsewhere."""
    page = (DOCS / f"{name}.md").read_text("utf-8")
    missing = [key for key in sinks()[name].Config.model_fields if f"`{key}`" not in page]
    assert missing == []


@pytest.mark.parametrize("name", ALL)
def test_hostile_values_are_sent_as_data(name: str, receiver: Receiver) -> None:
    """Quotes, line breaks, emoji and a megabyte-less but long text: delivered, never an exception."""
    evil = 'a"b\\c\r\nX-Evil: 1\x00\u2028🦆' * 50
    sink = build(name, receiver)
    delivery = sink.send(firing(request(reason=evil, reasons=(evil,), labels={"x": evil}, annotations={"y": evil})), T0)
    sink.close()
    assert delivery.result is Result.DELIVERED
    assert all("x-evil" not in got.headers for got in receiver.requests)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_repeat_carries_the_same_id(name: str, receiver: Receiver) -> None:
    """So that a receiver can drop what it has seen."""
    sink = build(name, receiver)
    sink.send(firing(), T0)
    sink.send(firing(), T0 + 60_000)
    sink.close()
    assert all(REQUEST.id.encode() in got.body for got in receiver.requests)
    assert len({got.headers.get("idempotency-key") for got in receiver.requests}) == 1


@pytest.mark.parametrize(
    ("behaviour", "result", "reason", "retry_after"),
    [
        (Reply(503, b"", {"Retry-After": "20"}), Result.RETRY, "http_5xx", 20_000),
        (Reply(429, b"", {"Retry-After": "Tue, 14 Nov 2023 22:14:20 GMT"}), Result.RETRY, "rate_limited", 60_000),
        (Reply(408), Result.RETRY, "http_4xx", 0),
        (Reply(302, b"", {"Location": "/elsewhere"}), Result.DEAD, "redirect", 0),
        (Reply(400, b"no"), Result.DEAD, "http_4xx", 0),
        (Reply(401), Result.DENIED, "unauthorized", 0),
        (Reply(403), Result.DENIED, "unauthorized", 0),
        (HANG, Result.RETRY, "timeout", 0),
        (DRIP, Result.RETRY, "timeout", 0),
        (RESET, Result.RETRY, "network", 0),
        (HANG_UP, Result.RETRY, "network", 0),
    ],
    ids=["503", "429", "408", "302", "400", "401", "403", "hang", "drip", "reset", "hang_up"],
)
@pytest.mark.parametrize("name", OVER_HTTP)
def test_every_misbehaviour_has_its_meaning(
    name: str, receiver: Receiver, behaviour: Behaviour, result: Result, reason: str, retry_after: int
) -> None:
    """Classified as designed, in one attempt, within the deadline, never as an exception, nothing followed."""
    delivery = attempt(name, receiver, behaviour, GOOD)
    assert (delivery.result, delivery.reason, delivery.retry_after) == (result, reason, retry_after)
    assert delivery.reason in REASONS
    assert len(receiver.requests) == 1


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_closed_port_is_tried_again(name: str, receiver: Receiver) -> None:
    """Connection refused."""
    receiver.close()
    delivery = attempt(name, receiver, GOOD)
    assert (delivery.result, delivery.reason) == (Result.RETRY, "network")
    assert len(delivery.answer) <= 512


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_password_in_a_url_is_refused(name: str) -> None:
    """It would be shown wherever the URL is, and http_config has a place for it."""
    with pytest.raises(ValidationError, match="use http_config"):
        sinks()[name].Config.model_validate({"url": "http://user:hunter2@x.example"})


@pytest.mark.parametrize("header", ["Idempotency-Key", "ce-id", "Webhook-Signature"])
@pytest.mark.parametrize("name", OVER_HTTP)
def test_headers_that_identify_a_request_cannot_be_set(name: str, header: str) -> None:
    """One fixed key for all requests would make a receiver drop all but the first."""
    entry = {"url": "http://x.example", "http_config": {"http_headers": {header: {"values": ["x"]}}}}
    with pytest.raises(ValidationError, match="the bridge sets it for every request"):
        sinks()[name].Config.model_validate(entry)


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_refused_credential_is_read_again(name: str, receiver: Receiver, tmp_path: Path) -> None:
    """A rotated token is used by the very next attempt."""
    token = tmp_path / "token"
    token.write_text("old-token")
    receiver.plan = [Reply(401), GOOD]
    sink = build(name, receiver, http_config={"authorization": {"credentials_file": str(token)}})
    first = sink.send(firing(), T0)
    token.write_text("new-token")
    second = sink.send(firing(), T0)
    sink.close()
    assert (first.result, second.result) == (Result.DENIED, Result.DELIVERED)
    assert [got.headers["authorization"] for got in receiver.requests] == ["Bearer old-token", "Bearer new-token"]


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_sink_may_be_used_from_several_threads(name: str, receiver: Receiver) -> None:
    """Its courier, its refresher and a status poll share it."""
    sink = build(name, receiver)
    results: list[Result] = []
    threads = [threading.Thread(target=lambda: results.append(sink.send(firing(), T0).result)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(300)
    sink.close()
    assert results == [Result.DELIVERED] * 8


@pytest.mark.parametrize("name", [name for name in ALL if name != "coordinator"])
def test_the_end_of_an_episode_can_be_sent(name: str, receiver: Receiver) -> None:
    """Every sink for people takes a RESOLVED parcel; a coordinator has no use for one."""
    sink = build(name, receiver)
    assert sink.send(resolved(), T0 + 600_000).result is Result.DELIVERED
    sink.close()
