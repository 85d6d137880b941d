"""Single HTTP attempts: they end by the deadline whatever the server does, and every failure has a reason."""

from __future__ import annotations

import gzip
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from bridge.net.http_config import HttpConfig
from bridge.net.session import Answer, NetError, call, open_session
from tests.support.processes import free_port
from tests.support.receiver import DRIP, DRIP_HEAD, DRIP_OLD, HANG, HANG_UP, RESET, Behaviour, Raw, Receiver, Reply

DEADLINE = 0.4


def ask(url: str, config: HttpConfig | None = None, *, base_dir: Path = Path(), **more: Any) -> Answer:
    with open_session(config or HttpConfig(), base_dir) as session:
        return call(session, "GET", url, **{"deadline": 5.0, **more})


def failure(url: str, config: HttpConfig | None = None, **more: Any) -> NetError:
    with pytest.raises(NetError) as caught:
        ask(url, config, **more)
    return caught.value


@pytest.mark.parametrize("behaviour", [HANG, DRIP, DRIP_OLD, DRIP_HEAD])
def test_the_deadline_is_for_all_of_an_attempt(behaviour: Behaviour) -> None:
    """Also for a server that sends something every 50 ms, which a per-read timeout would never end."""
    with Receiver(behaviour) as server:
        began = time.monotonic()
        error = failure(server.url, deadline=DEADLINE)
        assert (error.reason, str(error)) == ("timeout", f"no full answer from {server.url} within 0.4 s")
        assert time.monotonic() - began >= DEADLINE


def test_a_handshake_that_is_never_answered_ends_too() -> None:
    """The connection is established, but the TLS handshake is not."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        error = failure(f"https://127.0.0.1:{silent.getsockname()[1]}", deadline=DEADLINE)
        assert error.reason == "timeout"


def test_an_answer_may_end_with_the_connection() -> None:
    """As HTTP/1.0 servers do."""
    with Receiver(Raw(b"HTTP/1.0 200 X\r\n\r\nwhole")) as server:
        assert ask(server.url).body == b"whole"


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (RESET, "network"),
        (HANG_UP, "network"),
        (Raw(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\nhalf"), "network"),
        (Raw(b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nwhole\r\n"), "network"),
        (Raw(b"SSH-2.0-OpenSSH\r\n"), "network"),
        (Raw(b"\x00" * 100), "network"),
    ],
)
def test_half_an_answer_is_no_answer(behaviour: Behaviour, reason: str) -> None:
    """Reset, truncated, or not HTTP."""
    with Receiver(behaviour) as server:
        assert failure(server.url).reason == reason


def test_a_refused_connection_has_a_short_message() -> None:
    """Not the nested messages of three libraries."""
    url = f"http://127.0.0.1:{free_port()}/hook"
    error = failure(url)
    assert (error.reason, str(error)) == ("network", f"{url}: Connection refused")


def test_an_unknown_host_is_reported() -> None:
    """A name that does not resolve."""
    error = failure("http://nowhere.invalid/hook")
    assert error.reason == "network"
    assert "_Pool" not in str(error)


def test_a_large_answer_is_cut_off_and_reports_it() -> None:
    """With and without Content-Length."""
    whole = b"x" * 100_000
    chunked = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n186a0\r\n" + whole + b"\r\n0\r\n\r\n"
    with Receiver(Reply(body=whole), Raw(chunked), Reply(body=whole), Raw(chunked)) as server:
        for _ in range(2):
            answer = ask(server.url, max_bytes=1000)
            assert (len(answer.body), answer.truncated) == (1000, True)
        for _ in range(2):
            answer = ask(server.url, max_bytes=100_000)
            assert (answer.body, answer.truncated) == (whole, False)


def test_an_answer_that_must_fit_and_does_not_is_a_failure() -> None:
    """A truncated JSON document is useless."""
    with Receiver(Reply(body=b"x" * 1001)) as server:
        error = failure(server.url, max_bytes=1000, must_fit=True)
        assert (error.reason, str(error)) == ("too_large", f"the answer of {server.url} is larger than 1000 bytes")


def test_compression_is_not_requested_but_supported() -> None:
    """A decompression bomb is truncated like any large response."""
    bomb = gzip.compress(b"x" * 10_000_000)
    with Receiver(Reply(body=bomb, headers={"Content-Encoding": "gzip"})) as server:
        answer = ask(server.url, max_bytes=1000)
        assert (answer.body, answer.truncated) == (b"x" * 1000, True)
        assert server.requests[0].headers["accept-encoding"] == "identity"
        assert server.requests[0].headers["user-agent"].startswith("retrain-bridge/")


def test_a_redirect_is_an_answer_unless_it_is_to_be_followed() -> None:
    """The caller decides; credentials are not sent to another host or port."""
    config = HttpConfig.model_validate({"authorization": {"credentials": "topsecret"}})
    with Receiver(Reply(body=b"there")) as target, Receiver(Reply(302, headers={"Location": target.url})) as server:
        assert ask(server.url, config).status == 302
        assert ask(server.url, config, allow_redirects=True).body == b"there"
        assert server.requests[-1].headers["authorization"] == "Bearer topsecret"
        assert "authorization" not in target.requests[0].headers


def test_too_many_redirects_end() -> None:
    """A redirect loop."""
    with Receiver(Reply(302, headers={"Location": "/again"})) as server:
        assert failure(server.url, allow_redirects=True).reason == "network"


def test_no_message_shows_a_password() -> None:
    """In a URL, its query string, or a library's message."""
    url = f"http://127.0.0.1:{free_port()}/hook?token=topsecret"
    assert "topsecret" not in str(failure(url))


@pytest.mark.parametrize("no_proxy", ["", "127.0.0.1"])
def test_a_proxy_is_used_except_where_it_is_not_wanted(no_proxy: str) -> None:
    """The proxy gets the whole URL, with the configured headers."""
    settings: dict[str, object] = {"proxy_connect_header": {"X-Proxy": ["yes"]}, "no_proxy": no_proxy}
    with Receiver(Reply(body=b"proxy")) as proxy, Receiver(Reply(body=b"direct")) as server:
        config = HttpConfig.model_validate({"proxy_url": proxy.url, **settings})
        assert ask(f"{server.url}/hook", config).body == (b"direct" if no_proxy else b"proxy")
        if not no_proxy:
            assert proxy.requests[0].path == f"{server.url}/hook"
            assert proxy.requests[0].headers["x-proxy"] == "yes"


def test_the_environment_is_used_only_if_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxy settings of a shell must not affect a daemon."""
    with Receiver(Reply(body=b"proxy")) as proxy, Receiver(Reply(body=b"direct")) as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        monkeypatch.setenv("no_proxy", "")
        assert ask(server.url).body == b"direct"
        assert ask(server.url, HttpConfig(proxy_from_environment=True)).body == b"proxy"
