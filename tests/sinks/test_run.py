"""Start of runs, for every preset: one run, whatever happens to the start call."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from bridge.domain.times import DAY, MINUTE
from bridge.net.http_config import Secret
from bridge.ports import Result, RunState
from bridge.sinks.runs.config import RunConfig
from bridge.store.memory import MemoryStore
from tests.support.notifications import T0, firing, numbered, request
from tests.support.orchestrators.bench import Bench
from tests.support.orchestrators.stub import (
    CUT_AFTER,
    CUT_BEFORE,
    ERROR_AFTER,
    FORBIDDEN,
    FOREIGN,
    TOO_MANY,
    UNAVAILABLE,
    Stub,
)

EVIL = "a\"b\\c\r\n{{ .ID }}\u2028🦆 $(id) ${x} ' --"


@pytest.fixture
def bench(stub: Stub) -> Bench:
    return Bench(stub)


def test_a_request_starts_one_run(bench: Bench) -> None:
    """Its reference is the server's id; the parameters arrive."""
    delivery = bench.send()
    assert delivery.result is Result.DELIVERED
    assert bench.stub.named(delivery.reference) == bench.stub.runs[:1]
    assert numbered(0).id in str(bench.stub.runs[0].body)


def test_a_known_request_is_not_sent_again(bench: Bench) -> None:
    """The ledger knows: nothing is asked, nothing is sent."""
    first = bench.send()
    calls = len(bench.stub.calls)
    bench.restart()
    assert bench.send().reference == first.reference
    bench.stub.runs[0].state = "succeeded"
    assert bench.send().reference == first.reference
    assert len(bench.stub.calls) == calls
    assert len(bench.stub.runs) == 1


def test_a_run_that_only_the_server_knows_is_found(bench: Bench) -> None:
    """As after a restored backup: found, not made again; also when it has ended."""
    bench.send()
    bench.stub.runs[0].state = "succeeded"
    bench.ledger = MemoryStore()
    bench.restart()
    assert bench.stub.named(bench.settle().reference) == bench.stub.runs[:1]
    assert len(bench.stub.runs) == 1


def test_six_in_parallel_make_one_run_if_the_guarantee_is_exact(stub: Stub) -> None:
    """Six bridges with one id and a ledger each, as no sane setup has."""
    if not stub.exact:
        assert RunConfig.model_validate(Bench(stub).entry).guarantee == "lookup"
        return
    benches = [Bench(stub) for _ in range(6)]
    threads = [threading.Thread(target=bench.settle) for bench in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(stub.runs) == 1
    assert all(stub.named(bench.settle().reference) == stub.runs[:1] for bench in benches)


@pytest.mark.parametrize("fault", [CUT_AFTER, ERROR_AFTER])
def test_an_ambiguous_answer_is_settled_by_a_look_up(bench: Bench, fault: str) -> None:
    """The run exists: it is found, and the start call is not repeated."""
    bench.stub.faults = [fault]
    assert bench.send().result is Result.RETRY
    bench.restart()
    assert bench.stub.named(bench.settle().reference) == bench.stub.runs[:1]
    # Without a look-up the repeat itself is the look-up: the server knows the key.
    assert (len(bench.stub.runs), bench.stub.starts) == (1, 1 if bench.stub.looks_up else 2)


@pytest.mark.parametrize("fault", [CUT_BEFORE, UNAVAILABLE])
def test_an_unknown_outcome_without_a_run(bench: Bench, fault: str) -> None:
    """Exact: repeated after a look-up. Lookup: held, since the call may still be under way."""
    bench.stub.faults = [fault]
    assert bench.send().result is Result.RETRY
    bench.restart()
    delivery = bench.settle()
    if bench.stub.exact:
        assert (delivery.result, len(bench.stub.runs)) == (Result.DELIVERED, 1)
    else:
        assert (delivery.result, delivery.reason, len(bench.stub.runs)) == (Result.HELD, "unknown_outcome", 0)
        assert bench.state() is RunState.UNKNOWN


def test_a_request_that_waited_too_long_starts_nothing(bench: Bench) -> None:
    """The server was down for longer than max_age; an operator who queues it again wants it."""
    bench.now += DAY + MINUTE
    delivery = bench.settle()
    assert (delivery.result, delivery.reason) == (Result.DEAD, "too_old")
    assert bench.stub.starts == 0
    bench.queued_at = bench.now
    bench.settle()
    assert len(bench.stub.runs) == 1


def test_a_request_that_was_approved_after_days_starts_its_run(bench: Bench) -> None:
    """max_age does not count the time for which gates held it."""
    bench.now = bench.queued_at = T0 + 3 * DAY
    bench.settle()
    assert len(bench.stub.runs) == 1


def test_a_conflict_with_something_else_is_no_run(bench: Bench) -> None:
    """After three look-ups it is final; a conflict that passes is not."""
    bench.stub.faults = [FOREIGN]
    delivery = bench.settle()
    if delivery.result is Result.DEAD:  # said in the body, not by a 409
        assert bench.stub.runs == []
        return
    assert len(bench.stub.runs) == 1
    bench.stub.faults = [FOREIGN] * 5
    delivery = bench.settle(1)
    assert delivery.result is Result.DEAD
    assert len(bench.stub.runs) == 1


def test_too_many_requests_are_not_ambiguous(bench: Bench) -> None:
    """The time that the server gave is kept, and the call is made again."""
    bench.stub.faults = [TOO_MANY]
    delivery = bench.send()
    assert (delivery.result, delivery.retry_after) == (Result.RETRY, 7000)
    assert bench.settle().result is Result.DELIVERED
    assert len(bench.stub.runs) == 1


def test_refused_credentials_are_not_ambiguous(bench: Bench) -> None:
    """Denied, and started once the credential is right."""
    bench.stub.faults = [FORBIDDEN] * (2 if "login" in bench.stub.entry else 1)
    assert bench.send().result is Result.DENIED
    assert bench.settle().result is Result.DELIVERED
    assert len(bench.stub.runs) == 1


def test_a_server_that_is_down_is_not_ambiguous(stub: Stub) -> None:
    """No connection, no run: nothing is held afterwards."""
    bench = Bench(stub)
    bench.entry["url"] = "http://127.0.0.1:9"
    bench.restart()
    assert bench.send().result is Result.RETRY
    bench.entry["url"] = stub.url
    bench.restart()
    assert bench.settle().result is Result.DELIVERED


def test_credentials_that_are_rotated(stub: Stub) -> None:
    """A token that the server no longer accepts: logged in again, or the new one read."""
    bench = Bench(stub)
    if "login" not in stub.entry:
        bench.entry["http_config"] = {"authorization": {"credentials": Secret("old").reveal()}}
        bench.restart()
        stub.token = "new"
        assert bench.send().result is Result.DENIED
        bench.entry["http_config"] = {"authorization": {"credentials": "new"}}
        bench.restart()
    else:
        bench.send()
        stub.token = "rotated"
    assert bench.settle(1).result is Result.DELIVERED
    assert len(stub.by(state="queued")) == (2 if "login" in stub.entry else 1)


def test_a_run_that_is_cancelled_before_its_start_is_not_started(bench: Bench) -> None:
    """Nothing is sent; also between the ledger's record and the call."""
    bench.ledger.cancel_run(numbered(0).id, "ops/run/0", bench.now)
    assert bench.send().result is Result.DELIVERED
    assert bench.stub.starts == 0
    assert bench.state() is RunState.CANCELLED


def test_a_target_that_does_not_exist(bench: Bench) -> None:
    """Retried for a while, since it may have been deployed a moment ago; then final. check says it too."""
    bench.stub.gone = True
    assert bench.send().result is Result.RETRY
    bench.now += 11 * MINUTE
    assert bench.send().result is Result.DEAD
    assert bench.stub.runs == []
    assert bench.sink.problems(bench.now)
    bench.stub.gone = False
    assert bench.sink.problems(bench.now) == []
    assert bench.stub.starts == 0


def test_a_response_about_something_else_starts_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """JSON without any value of the target, as of a proxy: retried, and a problem for the check."""
    find = RunConfig.model_validate(bench.entry).find
    if find is None or not find.values:  # they say of every response that it is about the target
        return
    with monkeypatch.context() as patch:
        patch.setattr(bench.stub, "handle", lambda _: (200, [1, {"id": None}]))
        sent = bench.send()
        assert (sent.result, sent.reason) == (Result.RETRY, "invalid_answer")
        assert bench.stub.starts == 0
        (problem,) = bench.sink.problems(bench.now)
        assert "lacks" in problem
    assert bench.sink.problems(bench.now) == []
    assert bench.send().result is Result.DELIVERED


def test_special_characters_of_values_are_quoted(bench: Bench) -> None:
    """Quotes, line breaks and templates in a reason are text, on the way and after it."""
    if bench.stub.later:
        return
    bench.sink.send(firing(request(reason=EVIL)), T0)
    body = bench.stub.runs[0].body
    assert EVIL in _texts(body), body


def _texts(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(_texts(item) for item in value.values())
    if isinstance(value, list):
        return "\n".join(map(_texts, value))
    if isinstance(value, str) and value.startswith("{"):
        return _texts(json.loads(value))
    return str(value)


def test_a_body_beyond_max_payload_bytes_is_not_sent(bench: Bench) -> None:
    """Refused with both numbers; a larger limit sends it."""
    bench.entry["max_payload_bytes"] = 20
    bench.restart()
    delivery = bench.send()
    assert (delivery.result, delivery.reason, bench.stub.starts) == (Result.DEAD, "too_large", 0)
    assert "more than max_payload_bytes (20)" in delivery.answer
    bench.entry["max_payload_bytes"] = 100_000
    bench.restart()
    assert bench.settle().result is Result.DELIVERED


def test_a_reload_does_not_change_a_start_call_that_was_made(bench: Bench) -> None:
    """A changed configuration does not change a start call that may have arrived."""
    bench.stub.faults = [CUT_BEFORE]
    bench.send()
    bench.entry["parameters"] = {"other": "x"}
    bench.entry["on_unknown"] = "resend"
    bench.restart()
    for _ in range(10):
        if bench.settle().result is Result.DELIVERED:
            break
    assert numbered(0).id in str(bench.stub.runs[0].body)


def test_a_preview_sends_nothing(bench: Bench) -> None:
    """It shows the whole call, without credentials."""
    text = bench.sink.preview(firing(numbered(0)), T0)
    assert "POST" in text
    assert numbered(0).id in text
    assert "pw" not in text.split()
    assert bench.stub.starts == 0
