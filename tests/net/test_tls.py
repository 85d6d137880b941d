"""TLS settings of a client, enforced against real servers."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import pytest
import trustme

from bridge.net.http_config import HttpConfig
from bridge.net.session import NetError, call, open_session
from bridge.net.tls import VERSIONS, limit
from tests.support.receiver import Receiver, Reply

_AUTHORITY = trustme.CA()
CA = _AUTHORITY.cert_pem.bytes().decode()
_OWN = _AUTHORITY.issue_cert("bridge.internal")
CERT, KEY = _OWN.cert_chain_pems[0].bytes().decode(), _OWN.private_key_pem.bytes().decode()


def server_tls(version: str = "", *, ask_client: bool = False) -> ssl.SSLContext:
    """Return the context of a server; version: the only one that it speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _AUTHORITY.issue_cert("127.0.0.1").configure_cert(context)
    if version:
        limit(context, version, version)
    if ask_client:
        _AUTHORITY.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def status(url: str, tls: dict[str, Any], base_dir: Path = Path(), **more: Any) -> int:
    config = HttpConfig.model_validate({"tls_config": tls, **more})
    with open_session(config, base_dir) as session:
        return call(session, "GET", url, deadline=5.0).status


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("lowest", "highest"),
    [("", ""), ("TLS10", ""), ("TLS13", ""), ("", "TLS12"), ("", "TLS11"), ("TLS11", "TLS12"), ("TLS10", "TLS10")],
)
def test_the_versions_are_those_of_the_configuration(version: str, lowest: str, highest: str) -> None:
    """Without min_version it is TLS12, or max_version where that is older."""
    least = lowest or min(highest or "TLS12", "TLS12")
    with Receiver(tls=server_tls(version)) as server:
        tls = {"ca": CA, "min_version": lowest, "max_version": highest}
        if least <= version <= (highest or "TLS13"):
            assert status(server.url, tls) == 200
            return
        with pytest.raises(NetError) as caught:
            status(server.url, tls)
        assert caught.value.reason == "tls"
        assert not server.requests


def test_an_old_version_is_allowed_without_a_warning_of_python() -> None:
    """The operator chose it."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        limit(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "TLS10", "TLS11")


def test_certificates_may_be_inline(tmp_path: Path) -> None:
    """Authority, client certificate and key, also beside files."""
    (tmp_path / "own.key").write_text(KEY)
    with Receiver(tls=server_tls(ask_client=True)) as server:
        assert status(server.url, {"ca": CA, "cert": CERT, "key": KEY}) == 200
        assert status(server.url, {"ca": CA, "cert": CERT, "key_file": "own.key"}, tmp_path) == 200
        with pytest.raises(NetError):
            status(server.url, {"ca": CA})


def test_an_inline_text_that_is_no_certificate_is_named_and_not_shown() -> None:
    """The key of the configuration, never its value."""
    with pytest.raises(NetError, match="cannot use ca, cert, key: ") as caught:
        open_session(HttpConfig.model_validate({"tls_config": {"ca": CA, "cert": CERT, "key": "topsecret"}}), Path())
    assert "topsecret" not in str(caught.value)


def test_a_token_comes_through_its_own_proxy_and_authority() -> None:
    """The proxy and TLS of `oauth2` are not those of the requests."""
    token = Reply(body=b'{"access_token": "t1"}')
    with Receiver(token) as proxy, Receiver(tls=server_tls()) as server:
        oauth2 = {
            "client_id": "i", "token_url": "http://tokens.internal/token",
            "proxy_url": proxy.url, "proxy_connect_header": {"X-Proxy": ["yes"]},
        }  # fmt: skip
        assert status(server.url, {"ca": CA}, oauth2=oauth2) == 200
        assert [item.path for item in proxy.requests] == ["http://tokens.internal/token"]
        assert proxy.requests[0].headers["x-proxy"] == "yes"
        assert server.requests[0].headers["authorization"] == "Bearer t1"
    with Receiver(token, tls=server_tls()) as tokens, Receiver() as server:
        oauth2 = {"client_id": "i", "token_url": tokens.url}
        with pytest.raises(NetError):
            status(server.url, {"ca": CA}, oauth2=oauth2)
        assert status(server.url, {}, oauth2={**oauth2, "tls_config": {"ca": CA}}) == 200


@pytest.mark.parametrize("key", ["bearer_token", "bearer_token_file"])
def test_the_older_bearer_token_is_sent(tmp_path: Path, key: str) -> None:
    """As `authorization` would send it."""
    (tmp_path / "word").write_text("word\n")
    with Receiver() as server:
        assert status(server.url, {}, tmp_path, **{key: "word"}) == 200
        assert server.requests[0].headers["authorization"] == "Bearer word"
