"""Way from a standby to the owner of its fleet."""

from __future__ import annotations

import pytest

from bridge.app.forwarding import Forwarder
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


@pytest.mark.parametrize("owner", ["", OWN])
def test_nothing_is_forwarded_without_another_owner(owner: str) -> None:
    """Least of all to itself, in a circle."""
    with pytest.raises(NoOwnerError, match="no owner at present") as caught:
        Forwarder(OWN, lambda: owner, None)("GET", "/", {}, b"")
    assert not caught.value.sent


@pytest.mark.parametrize(("url", "sent"), [("http://127.0.0.1:1/x", False), ("", True)])
def test_an_owner_that_does_not_answer_is_an_error(url: str, sent: bool) -> None:
    """Which says whether the request may have arrived: a change must not be repeated then."""
    with Receiver(HANG_UP) as owner, pytest.raises(NoOwnerError, match="did not answer") as caught:
        Forwarder(OWN, lambda: url or owner.url, None)("POST", "/", {}, b"x")
    assert caught.value.sent is sent
