"""TLS and HTTP settings of the web config file, enforced by a running server."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from bridge.domain.errors import ConfigError
from bridge.net import tls
from bridge.net.tls import CURVES, SUITES_12, VERSIONS, can_limit_curves, limit, limit_curves
from bridge.web.http.settings import WebSettings
from bridge.web.http.tls import allowed
from bridge.web.http.web_config import load_web_config
from tests.support.web import Site, serving

RSA_128, RSA_256 = "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384"
BOTH = "client_auth_type: RequireAndVerifyClientCert"
_AUTHORITY = trustme.CA(key_type=trustme.KeyType.RSA)
_SERVER = _AUTHORITY.issue_cert("127.0.0.1", key_type=trustme.KeyType.RSA)
_STRANGER = trustme.CA().issue_cert("ada.internal")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write the files of an authority and of a server to a folder."""
    _AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    _SERVER.cert_chain_pems[0].write_to_path(tmp_path / "server.pem")
    _SERVER.private_key_pem.write_to_path(tmp_path / "server.key")
    return tmp_path


NO_HTTP2 = "http_server_config: {http2: false}"
FILES = "cert_file: server.pem, key_file: server.key"


def site_of(
    folder: Path, more: str = "", *, rest: str = "", own: str = FILES
) -> contextlib.AbstractContextManager[Site]:
    file = folder / "web.yml"
    file.write_text(f"tls_server_config: {{{own}{more}}}\n{rest}\n")
    return serving(WebSettings("127.0.0.1:0", web_config_file=file), load_web_config(file))


def client(own: trustme.LeafCert | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _AUTHORITY.configure_trust(context)
    if own is not None:
        own.configure_cert(context)
    return context


def answer(site: Site, context: ssl.SSLContext) -> http.client.HTTPResponse:
    connection = http.client.HTTPSConnection("127.0.0.1", site.port, timeout=60, context=context)
    try:
        connection.request("GET", "/-/healthy")
        found = connection.getresponse()
        found.read()
        return found
    finally:
        connection.close()


def enters(site: Site, context: ssl.SSLContext) -> bool:
    """Return whether the server answers; otherwise the handshake, or the connection after it, ends."""
    try:
        return answer(site, context).status == 200
    except (ssl.SSLError, ConnectionError, http.client.HTTPException):
        return False


def plain(site: Site, path: str = "/-/healthy") -> tuple[int, dict[str, str]]:
    """Return status and headers of an answer without TLS."""
    status, headers, _ = site.raw(f"GET {path} HTTP/1.1\nHost: 127.0.0.1\nConnection: close\n\n")
    return status, headers


@pytest.mark.parametrize(("lowest", "highest"), [("TLS12", "TLS13"), ("TLS13", "TLS13"), ("TLS12", "TLS12"),
                                                 ("TLS10", "TLS11"), ("TLS11", "TLS13")])  # fmt: skip
def test_the_versions_are_those_of_the_file(folder: Path, lowest: str, highest: str) -> None:
    """Every version that a client may speak."""
    with site_of(folder, f", min_version: {lowest}, max_version: {highest}") as site:
        for version in VERSIONS:
            context = client()
            limit(context, version, version)
            assert enters(site, context) == (lowest <= version <= highest), version


def test_the_cipher_suites_are_those_of_the_file(folder: Path) -> None:
    """Up to TLS 1.2; in the server's order, or the client's."""
    listed = f", max_version: TLS12, cipher_suites: [{RSA_256}, {RSA_128}]"
    both = client()
    both.set_ciphers(f"{SUITES_12[RSA_128]}:{SUITES_12[RSA_256]}")
    other = client()
    other.set_ciphers(SUITES_12["TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"])
    for more, suite in (("", RSA_256), (", prefer_server_cipher_suites: false", RSA_128)):
        with site_of(folder, listed + more) as site:
            with site.connect() as raw, both.wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
                used = wrapped.cipher()
                assert used is not None
                assert used[0] == SUITES_12[suite]
            assert not enters(site, other)
    with site_of(
        folder, ", cipher_suites: [TLS_AES_128_GCM_SHA256]", rest="http_server_config: {http2: false}"
    ) as site:
        old = client()
        limit(old, "TLS12", "TLS12")
        assert (enters(site, client()), enters(site, old)) == (True, False)


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_the_curve_is_that_of_the_file(folder: Path, version: str) -> None:
    """A client that offers another one is refused; with all of them, every client is served."""
    usual = ("CurveP256", "CurveP384", "CurveP521", "X25519")
    for listed in (*((curve,) for curve in usual if can_limit_curves()), usual):
        with site_of(folder, f", curve_preferences: [{', '.join(listed)}]") as site:
            for curve in usual:
                context = client()
                limit(context, version, version)
                if can_limit_curves():
                    limit_curves(context, [curve])
                assert enters(site, context) == (curve in listed), (curve, listed)
    assert set(usual) < set(CURVES)


def test_python_that_cannot_limit_curves_refuses_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Debian 12's Python adds the curve for TLS 1.2 and keeps all others: no limit, so the server does not start."""
    monkeypatch.setattr(tls, "can_limit_curves", lambda: False)
    with (
        pytest.raises(ConfigError, match="cannot limit key exchange"),
        site_of(folder, ", curve_preferences: [X25519]"),
    ):
        pass


@pytest.mark.parametrize("error", [ssl.SSLError("unknown group"), ValueError("unknown curve")])
def test_whether_python_limits_curves_is_found_out(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """Where X25519 is refused, other names are taken without effect."""

    def refuse(*_: object) -> None:
        raise error

    monkeypatch.setattr(ssl.SSLContext, "set_ecdh_curve", refuse)
    assert tls.can_limit_curves.__wrapped__() is False


def test_each_type_of_client_authentication(folder: Path) -> None:
    """Clients: without a certificate, with one of the authority, with a stranger's."""
    ca = ", client_ca_file: ca.pem"
    for more, expected in (
        ("", (True, True, True)),
        (", client_auth_type: NoClientCert", (True, True, True)),
        (", client_auth_type: RequestClientCert", (True, True, True)),
        (", client_auth_type: RequestClientCert" + ca, (True, True, True)),
        (", client_auth_type: VerifyClientCertIfGiven" + ca, (True, True, False)),
        (", client_auth_type: VerifyClientCertIfGiven", (True, False, False)),
        (f", {BOTH}" + ca, (False, True, False)),
        (f", {BOTH}", (False, False, False)),
    ):
        with site_of(folder, more) as site:
            clients = (client(), client(_AUTHORITY.issue_cert("ada.internal")), client(_STRANGER))
            assert tuple(enters(site, context) for context in clients) == expected, more


def inline(certificate: trustme.LeafCert) -> str:
    """Return the keys of a certificate in the file itself."""
    chain, key = certificate.cert_chain_pems[0].bytes().decode(), certificate.private_key_pem.bytes().decode()
    return f"cert: {json.dumps(chain)}, key: {json.dumps(key)}"


def test_an_inline_authority_verifies_clients(folder: Path) -> None:
    """As a file would; certificate and key may be inline too."""
    authority = json.dumps(_AUTHORITY.cert_pem.bytes().decode())
    with site_of(folder, f", {BOTH}, client_ca: {authority}", own=inline(_SERVER)) as site:
        assert enters(site, client(_AUTHORITY.issue_cert("ada.internal")))
        assert not enters(site, client(_STRANGER))


def test_a_renewed_inline_certificate_is_served_without_a_restart(folder: Path) -> None:
    """A file that cannot be read leaves the previous one in force."""
    renewed = f"tls_server_config: {{{inline(_STRANGER)}}}"
    with site_of(folder, own=inline(_SERVER)) as site:
        for text, served in (("tls_server_config: [", _SERVER), (renewed, _STRANGER)):
            (folder / "web.yml").write_text(text)
            any_server = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            any_server.check_hostname, any_server.verify_mode = False, ssl.CERT_NONE
            with site.connect() as raw, any_server.wrap_socket(raw) as wrapped:
                expected = x509.load_pem_x509_certificate(served.cert_chain_pems[0].bytes())
                assert wrapped.getpeercert(True) == expected.public_bytes(Encoding.DER)


@pytest.mark.parametrize("version", ["TLS12", "TLS13"])
def test_only_listed_names_of_clients_are_served(folder: Path, version: str) -> None:
    """DNS names, addresses, e-mail addresses; an exact match of one is enough."""
    listed = f", {BOTH}, client_ca_file: ca.pem, client_allowed_sans: [ada.internal, 10.0.0.1, '2001:db8::1', a@b.org]"
    with site_of(folder, listed) as site:
        for names, served in (
            (["ada.internal"], True), (["x.internal", "10.0.0.1"], True), (["2001:db8::1"], True), (["a@b.org"], True),
            (["bob.internal"], False), (["ada.internal.org", "10.0.0.2"], False),
        ):  # fmt: skip
            context = client(_AUTHORITY.issue_cert(*names))
            limit(context, version, version)
            assert enters(site, context) == served, names


def test_a_name_is_compared_as_go_writes_it() -> None:
    """OpenSSL writes addresses of IPv6 in full; without a certificate there is no name."""
    peer = {"subjectAltName": (("URI", "spiffe://a/b"), ("IP Address", "2001:DB8:0:0:0:0:0:1\n"), ("IP Address", "?"))}
    assert allowed(peer, ["spiffe://a/b"])
    assert allowed(peer, ["2001:db8::1"])
    assert not allowed(peer, ["spiffe://a"])
    assert not allowed(None, ["a"])
    assert not allowed({}, ["a"])


def test_what_openssl_cannot_use_is_reported_with_its_line(folder: Path) -> None:
    """All of it, when the server starts."""
    (folder / "empty.pem").write_text("")
    with (
        pytest.raises(ConfigError) as caught,
        site_of(
            folder, ",\n  client_ca_file: empty.pem, client_auth_type: VerifyClientCertIfGiven", own="cert: c,\n key: k"
        ),
    ):
        pass
    first, second = (str(problem).removeprefix(f"{folder}/web.yml:") for problem in caught.value.problems)
    assert first.startswith("1: tls_server_config.cert: cannot use cert with key: ")
    assert second.startswith("3: tls_server_config.client_ca_file: cannot use empty.pem: ")


def test_headers_of_the_file_replace_those_of_the_server(folder: Path) -> None:
    """They change without a restart; an empty one leaves the server's."""
    file = folder / "web.yml"
    file.write_text("http_server_config: {headers: {X-Frame-Options: sameorigin, Strict-Transport-Security: a=9}}")
    with serving(WebSettings("127.0.0.1:0", web_config_file=file), load_web_config(file)) as site:
        headers = plain(site)[1]
        assert (headers["x-frame-options"], headers["strict-transport-security"]) == ("sameorigin", "a=9")
        assert headers["x-content-type-options"] == "nosniff"
        file.write_text("http_server_config: {headers: {Content-Security-Policy: ''}}")
        headers = plain(site)[1]
        assert headers["x-frame-options"] == "deny"  # names and values in lower case
        assert headers["content-security-policy"].startswith("default-src 'none'")


def test_requests_beyond_the_rate_limit_are_answered_with_429(folder: Path) -> None:
    """Every path counts, also with an error."""
    file = folder / "web.yml"
    file.write_text("rate_limit: {interval: 1h, burst: 2}")
    with serving(WebSettings("127.0.0.1:0", web_config_file=file), load_web_config(file)) as site:
        answers = [plain(site, path) for path in ("/-/healthy", "/none", "/-/healthy")]
        assert [status for status, _ in answers] == [200, 404, 429]
        assert 3000 < int(answers[2][1]["retry-after"]) <= 3600
