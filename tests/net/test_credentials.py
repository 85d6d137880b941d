"""Each kind of credential, read at every use."""

from __future__ import annotations

import base64
import json
import ssl
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from bridge.net.http_config import HttpConfig
from bridge.net.session import Answer, NetError, Session, call, forget_credentials, open_session
from tests.support.receiver import HANG, Receiver, Reply

TOKEN = {"access_token": "t1", "expires_in": 3600}


def opened(settings: dict[str, Any], folder: Path) -> Session:
    return open_session(HttpConfig.model_validate(settings), folder)


def ask(session: Session, url: str) -> Answer:
    return call(session, "GET", url, deadline=5.0)


def failure(settings: dict[str, Any], url: str, folder: Path) -> NetError:
    with opened(settings, folder) as session, pytest.raises(NetError) as caught:
        ask(session, url)
    return caught.value


# ------------------------------------------------------------ headers


def test_a_rotated_file_counts_at_the_next_request(tmp_path: Path) -> None:
    """Relative to the configuration's folder; line breaks at the end are not part of it."""
    (tmp_path / "token").write_text("one\n")
    with Receiver() as server, opened({"authorization": {"credentials_file": "token"}}, tmp_path) as session:
        ask(session, server.url)
        (tmp_path / "token").write_text("two")
        ask(session, server.url)
        assert [item.headers["authorization"] for item in server.requests] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize(
    "settings",
    [
        {"username": "ada", "password": "p:ä"},
        {"username_file": "user", "password_file": "password"},
    ],
)
def test_basic_authentication_is_utf_8(tmp_path: Path, settings: dict[str, str]) -> None:
    """Inline or from files (RFC 7617)."""
    (tmp_path / "user").write_text("ada\n")
    (tmp_path / "password").write_text("p:ä\n")
    with Receiver() as server, opened({"basic_auth": settings}, tmp_path) as session:
        ask(session, server.url)
        scheme, value = server.requests[0].headers["authorization"].split()
        assert (scheme, base64.b64decode(value).decode()) == ("Basic", "ada:p:ä")


def test_a_missing_secret_file_fails_the_attempt_and_is_named(tmp_path: Path) -> None:
    """Nothing is sent without it."""
    with Receiver() as server:
        error = failure({"authorization": {"credentials_file": "token"}}, server.url, tmp_path)
        assert (error.reason, str(error)) == ("credential", f"cannot read {tmp_path}/token: No such file or directory")
        assert server.requests == []


def test_a_secret_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    """A key instead of a token."""
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    error = failure({"authorization": {"credentials_file": "token"}}, "http://127.0.0.1:1", tmp_path)
    assert (error.reason, str(error)) == ("credential", f"cannot read {tmp_path}/token: is not UTF-8")


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"authorization": {"credentials_file": "secret"}}, "Authorization"),
        ({"http_headers": {"X-Key": {"files": ["secret"]}}}, "X-Key"),
    ],
)
def test_a_secret_of_two_lines_is_refused_and_not_shown(tmp_path: Path, settings: dict[str, Any], named: str) -> None:
    """A library would quote it in its error."""
    for text in ("one\ntopsecret", "topsecret\x00", "topsecret€"):
        (tmp_path / "secret").write_text(text)
        error = failure(settings, "http://127.0.0.1:1", tmp_path)
        assert error.reason == "credential"
        assert named in str(error)
        assert "secret" not in str(error)


def test_no_own_header_is_sent_to_another_host(tmp_path: Path) -> None:
    """A redirect may lead anywhere; credentials are kept only on the same host."""
    settings = {"http_headers": {"X-Key": {"secrets": ["topsecret"]}}, "authorization": {"credentials": "topsecret"}}
    with Receiver() as elsewhere, Receiver(Reply(302, headers={"Location": elsewhere.url})) as server:
        with opened(settings, tmp_path) as session:
            call(session, "GET", server.url, deadline=5.0, allow_redirects=True)
        assert server.requests[0].headers["x-key"] == "topsecret"
        assert not {"x-key", "authorization"} & elsewhere.requests[0].headers.keys()
    with Receiver(Reply(302, headers={"Location": "/here"}), Reply()) as server, opened(settings, tmp_path) as session:
        call(session, "GET", server.url, deadline=5.0, allow_redirects=True)
        assert server.requests[1].headers["x-key"] == "topsecret"


def test_further_headers_carry_texts_secrets_and_files(tmp_path: Path) -> None:
    """All values of a name in one header."""
    (tmp_path / "tenant").write_text("c\n")
    headers = {"X-Scope-OrgID": {"values": ["a"], "secrets": ["b"], "files": ["tenant"]}}
    with Receiver() as server, opened({"http_headers": headers}, tmp_path) as session:
        ask(session, server.url)
        assert server.requests[0].headers["x-scope-orgid"] == "a, b, c"


# ------------------------------------------------------------ OAuth 2


def oauth2(server: Receiver, **more: Any) -> dict[str, Any]:
    return {"oauth2": {"client_id": "bridge", "token_url": f"{server.url}/token", **more}}


def test_a_token_is_fetched_once_and_again_when_it_is_refused(tmp_path: Path) -> None:
    """Client credentials grant, with scopes and additional fields, the secret from its file."""
    (tmp_path / "client").write_text("topsecret\n")
    second = {"access_token": "t2"}
    with (
        Receiver(Reply(body=json.dumps(TOKEN).encode()), Reply(body=json.dumps(second).encode())) as tokens,
        Receiver() as server,
    ):
        settings = oauth2(tokens, client_secret_file="client", scopes=["a", "b"], endpoint_params={"audience": "x"})
        with opened(settings, tmp_path) as session:
            ask(session, server.url)
            ask(session, server.url)
            forget_credentials(session)
            ask(session, server.url)
        assert [item.headers["authorization"] for item in server.requests] == ["Bearer t1", "Bearer t1", "Bearer t2"]
        form = "grant_type=client_credentials&client_id=bridge&client_secret=topsecret&scope=a+b&audience=x"
        assert [item.body.decode() for item in tokens.requests] == [form, form]


def test_a_token_that_is_about_to_end_is_not_used(tmp_path: Path) -> None:
    """29 seconds are too short: the token could expire during the call."""
    with Receiver(Reply(body=b'{"access_token": "t", "expires_in": 29}')) as tokens, Receiver() as server:
        with opened(oauth2(tokens), tmp_path) as session:
            ask(session, server.url)
            ask(session, server.url)
        assert len(tokens.requests) == 2


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply(401, b'{"error": "topsecret"}'), "no token from {url}/token: HTTP 401"),
        (Reply(200, b"<html>"), "{host} answered without an access_token"),
        (Reply(200, b"{}"), "{host} answered without an access_token"),
        (Reply(200, b"[]"), "{host} answered without an access_token"),
        (Reply(200, b"[" * 60_000), "{host} answered without an access_token"),
        (
            Reply(200, b'{"access_token": "t", "expires_in": 1' + b"0" * 400 + b"}"),
            "{host} answered without an access_token",
        ),
    ],
)
def test_no_token_fails_the_attempt(tmp_path: Path, reply: Reply, message: str) -> None:
    """The token server's response is not quoted: it may contain secrets."""
    with Receiver(reply) as tokens, Receiver() as server:
        error = failure(oauth2(tokens, client_secret="topsecret"), server.url, tmp_path)
        host = tokens.url.removeprefix("http://")
        assert (error.reason, str(error)) == ("credential", message.format(url=tokens.url, host=host))
        assert server.requests == []


def test_a_token_server_that_hangs_does_not_prolong_the_attempt(tmp_path: Path) -> None:
    """The deadline includes fetching the token."""
    with Receiver(HANG) as tokens, opened(oauth2(tokens), tmp_path) as session:
        began = time.monotonic()
        with pytest.raises(NetError) as caught:
            call(session, "GET", "http://127.0.0.1:1", deadline=0.4)
        assert time.monotonic() - began < 25
        assert caught.value.reason in {"credential", "timeout"}


def test_a_token_server_that_is_away_is_named(tmp_path: Path) -> None:
    """The failure of the token server is a credential error."""
    settings = {"oauth2": {"client_id": "bridge", "token_url": "http://127.0.0.1:1/token"}}
    error = failure(settings, "http://127.0.0.1:2", tmp_path)
    assert error.reason == "credential"
    assert "http://127.0.0.1:1/token" in str(error)


# ------------------------------------------------------------ TLS


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    """Write a certificate authority to ca.pem, and a client certificate to bridge.pem and bridge.key."""
    found = trustme.CA()
    found.cert_pem.write_to_path(tmp_path / "ca.pem")
    own = found.issue_cert("bridge.internal")
    own.cert_chain_pems[0].write_to_path(tmp_path / "bridge.pem")
    own.private_key_pem.write_to_path(tmp_path / "bridge.key")
    return found


def tls_server(authority: trustme.CA, host: str = "127.0.0.1", *, ask_client: bool = False) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    if ask_client:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_the_authority_of_the_configuration_is_trusted_and_no_other(tmp_path: Path, authority: trustme.CA) -> None:
    """Nothing is sent to a server with an invalid certificate."""
    with Receiver(tls=tls_server(authority)) as server:
        with opened({"tls_config": {"ca_file": "ca.pem"}}, tmp_path) as session:
            assert ask(session, server.url).status == 200
        error = failure({}, server.url, tmp_path)
        assert error.reason == "tls"
        assert str(error).startswith(f"TLS with {server.url} failed: ")
        assert "CERTIFICATE_VERIFY_FAILED" in str(error) or "certificate verify failed" in str(error)
        assert len(server.requests) == 1


def test_the_name_of_the_certificate_is_checked(tmp_path: Path, authority: trustme.CA) -> None:
    """The name is compared with the URL's host, or `server_name`."""
    with Receiver(tls=tls_server(authority, "prometheus.internal")) as server:
        trusting = {"ca_file": "ca.pem"}
        assert failure({"tls_config": trusting}, server.url, tmp_path).reason == "tls"
        with opened({"tls_config": {**trusting, "server_name": "prometheus.internal"}}, tmp_path) as session:
            assert ask(session, server.url).status == 200


def test_verification_can_be_disabled(tmp_path: Path, authority: trustme.CA) -> None:
    """`insecure_skip_verify` disables verification."""
    settings = {"tls_config": {"insecure_skip_verify": True}}
    with Receiver(tls=tls_server(authority)) as server, opened(settings, tmp_path) as session:
        assert ask(session, server.url).status == 200


def test_our_own_certificate_is_shown(tmp_path: Path, authority: trustme.CA) -> None:
    """The server requires a client certificate."""
    own = {"cert_file": "bridge.pem", "key_file": "bridge.key"}
    with Receiver(tls=tls_server(authority, ask_client=True)) as server:
        with opened({"tls_config": {"ca_file": "ca.pem", **own}}, tmp_path) as session:
            assert ask(session, server.url).status == 200
        assert failure({"tls_config": {"ca_file": "ca.pem"}}, server.url, tmp_path).reason in {"tls", "network"}


def test_an_old_protocol_is_refused(tmp_path: Path, authority: trustme.CA) -> None:
    """min_version TLS13 against a server that ends at 1.2."""
    context = tls_server(authority)
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with Receiver(tls=context) as server:
        with opened({"tls_config": {"ca_file": "ca.pem"}}, tmp_path) as session:
            assert ask(session, server.url).status == 200
        assert (
            failure({"tls_config": {"ca_file": "ca.pem", "min_version": "TLS13"}}, server.url, tmp_path).reason == "tls"
        )


@pytest.mark.parametrize(
    "settings", [{"ca_file": "none.pem"}, {"ca_file": "bad.pem"}, {"cert_file": "bad.pem", "key_file": "bad.pem"}]
)
def test_certificates_that_cannot_be_used_are_named_at_once(tmp_path: Path, settings: dict[str, str]) -> None:
    """When the session is opened, not at the first request."""
    (tmp_path / "bad.pem").write_text("no certificate")
    with pytest.raises(NetError) as caught:
        opened({"tls_config": settings}, tmp_path)
    assert caught.value.reason == "tls"
    assert str(tmp_path / next(iter(settings.values()))) in str(caught.value)
