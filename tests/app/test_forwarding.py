"""Way from a standby to the owner of its fleet."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
import trustme

from bridge.app.forwarding import Forwarder
from bridge.domain import waits
from bridge.web.standby import NoOwnerError
from tests.support.receiver import HANG_UP, Receiver, Reply

OWN = "http://127.0.0.1:1"


def test_a_request_reaches_the_owner_and_its_answer_comes_back() -> None:
    """With method, path, headers and body; an error is an answer too."""
    with Receiver(Reply(409, b"held", {"X-Reason": "pause"})) as owner:
        answer = Forwarder(OWN, lambda: owner.url, None)("POST", "/api/v1/pause?x=1", {"X-By": "ada"}, b"{}")
        (got,) = owner.requests
    assert (got.method, got.path, got.headers["x-by"], got.body) == ("POST", "/api/v1/pause?x=1", "ada", b"{}")
    assert (answer.status, answer.body, answer.headers["X-Reason"]) == (409, b"held", "pause")


def test_the_present_owner_gets_each_request() -> None:
    """Also over one session."""
    with Receiver(Reply(200, b"one")) as first, Receiver(Reply(200, b"two")) as second:
        owners = [first.url, second.url]
        forward = Forwarder(OWN, lambda: owners.pop(0), None)
        assert [forward("GET", "/", {}, b"").body for _ in range(2)] == [b"one", b"two"]


def test_the_owner_may_have_a_certificate_for_another_name_than_its_address(tmp_path: Path) -> None:
    """As in Kubernetes: replicas reach each other at addresses; without the http_config, nothing is sent."""
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("bridge.internal").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    file = tmp_path / "replicas.yml"
    file.write_text("tls_config: {ca_file: ca.pem, server_name: bridge.internal}")
    with Receiver(Reply(200, b"mine"), tls=context) as owner:
        with pytest.raises(NoOwnerError, match=r"did not answer \(tls\)"):
            Forwarder(OWN, lambda: owner.url, None)("GET", "/", {}, b"")
        headers = {"Authorization": "Basic YWRhOnB3"}
        assert Forwarder(OWN, lambda: owner.url, file)("GET", "/", headers, b"").body == b"mine"
        (got,) = owner.requests
    assert got.headers["authorization"] == "Basic YWRhOnB3"


def test_nothing_is_forwarded_without_an_owner() -> None:
    """The error says that nothing was sent."""
    with pytest.raises(NoOwnerError, match="no owner at present") as caught:
        Forwarder(OWN, lambda: "", None)("GET", "/", {}, b"")
    assert not caught.value.sent


def test_change_is_repeated_at_the_next_owner() -> None:
    """After an owner that cut the answer, and one that is not ready yet; with the same body and headers."""
    with Receiver(HANG_UP) as first, Receiver(Reply(503, b"starting"), Reply(200, b"done")) as second:
        owners = [first.url, "", second.url, second.url]
        forward = Forwarder(OWN, lambda: owners.pop(0), None, patience=60)
        assert forward("POST", "/x", {"X-Key": "k"}, b"{}", repeatable=True).body == b"done"
        seen = [(item.headers["x-key"], item.body) for item in (*first.requests, *second.requests)]
    assert seen == [("k", b"{}")] * 3


def test_refusal_is_not_repeated() -> None:
    """An answer of the owner is the answer."""
    with Receiver(Reply(409, b"held")) as owner:
        forward = Forwarder(OWN, lambda: owner.url, None, patience=60)
        assert forward("POST", "/x", {}, b"{}", repeatable=True).status == 409
        assert len(owner.requests) == 1


@pytest.mark.parametrize(("first", "sent"), [(Reply(503, b"starting"), False), (HANG_UP, True)])
def test_repeats_end(monkeypatch: pytest.MonkeyPatch, first: Reply, sent: bool) -> None:
    """With the owner's answer if nothing else was tried; as an unknown outcome after an attempt without an answer."""
    monkeypatch.setattr(waits, "ATTEMPT", 1.0)
    with Receiver(first, Reply(503, b"starting"), Reply(503, b"starting")) as owner:
        forward = Forwarder(OWN, lambda: owner.url, None)
        if not sent:
            assert forward("POST", "/x", {}, b"{}", repeatable=True).body == b"starting"
        else:
            with pytest.raises(NoOwnerError, match="the next one is unavailable") as caught:
                forward("POST", "/x", {}, b"{}", repeatable=True)
            assert caught.value.sent
        assert len(owner.requests) >= 2


@pytest.mark.parametrize(("url", "sent"), [("http://127.0.0.1:1/x", False), ("", True)])
def test_an_owner_that_does_not_answer_is_an_error(url: str, sent: bool) -> None:
    """Which says whether the request may have arrived: a change must not be repeated then."""
    with Receiver(HANG_UP) as owner, pytest.raises(NoOwnerError, match="did not answer") as caught:
        Forwarder(OWN, lambda: url or owner.url, None)("POST", "/", {}, b"x")
    assert caught.value.sent is sent
