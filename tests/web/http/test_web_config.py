"""Web config files of the kinds that exporter-toolkit takes and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.domain.errors import ConfigError
from bridge.web.http.web_config import WebConfig, load_web_config

HASH = "$2y$10$" + "a" * 53
TLS = "tls_server_config: {cert_file: c, key_file: k"
BOTH = "RequireAndVerifyClientCert"
ALL_SUITES = [
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
    "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_CBC_SHA", "TLS_RSA_WITH_AES_256_CBC_SHA",
    "TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_RSA_WITH_AES_256_GCM_SHA384",
]  # fmt: skip
TAKEN = {
    "TLS": TLS + "}",
    "TLS, inline": "tls_server_config: {cert: c, key: k}",
    "certificate file, key inline": "tls_server_config: {cert_file: c, key: k}",
    "no client certificate": TLS + ", client_auth_type: NoClientCert}",
    "client certificate, empty": TLS + ", client_auth_type: ''}",
    "requested": TLS + ", client_auth_type: RequestClientCert}",
    "requested, with CA": TLS + ", client_auth_type: RequestClientCert, client_ca_file: a}",
    "verified if given": TLS + ", client_auth_type: VerifyClientCertIfGiven}",
    "verified if given, with CA": TLS + ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: a}",
    "required": TLS + f", client_auth_type: {BOTH}}}",
    "required, with CA": TLS + f", client_auth_type: {BOTH}, client_ca_file: a}}",
    "required, with inline CA": TLS + f", client_auth_type: {BOTH}, client_ca: a}}",
    "names": TLS + f", client_auth_type: {BOTH}, client_ca_file: a, client_allowed_sans: [one, 10.0.0.1]}}",
    "one version": TLS + ", min_version: TLS12, max_version: TLS12}",
    "old versions": TLS + ", min_version: TLS10, max_version: TLS11}",
    "all suites": TLS + f", cipher_suites: [{', '.join(ALL_SUITES)}]}}",
    "some suites, order of the client": TLS + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256],"
    " prefer_server_cipher_suites: false}",
    "suites without those of HTTP/2": TLS + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384],"
    " max_version: TLS12}\nhttp_server_config: {http2: false}",
    "one curve": TLS + ", min_version: TLS13, curve_preferences: [CurveP521]}",
    "all curves": TLS + ", curve_preferences: [CurveP256, CurveP384, CurveP521, X25519]}",
    "all curves, with the latest": TLS + ", curve_preferences: [CurveP256, CurveP384, CurveP521, X25519,"
    " X25519MLKEM768]}",
    "headers": "http_server_config: {headers: {X-Frame-Options: deny, Strict-Transport-Security: max-age=1,"
    " X-Content-Type-Options: nosniff, X-XSS-Protection: 1, Content-Security-Policy: \"default-src 'self'\"}}",
    "HTTP/2": "http_server_config: {http2: true}",
    "rate limit": "rate_limit: {interval: 1h, burst: 1}",
    "rate limit of fractions": "rate_limit: {interval: 1m1.5s20ms, burst: 10}",
    "no rate limit": "rate_limit: {interval: 0, burst: 0}",
    "rate limit, empty": "rate_limit:",
    "users": f"basic_auth_users: {{ada: {HASH}, bob: '{HASH.replace('2y', '2b')}'}}",
    "nothing": "{}",
    "empty keys": "tls_server_config:\nbasic_auth_users:\nhttp_server_config: {headers: }",
}
ANY = "would accept any certificate, even one that nobody signed, which this server cannot: use RequireAndVerify"
REFUSED = {
    "typing error": ("basic_auth_user: {}", "unknown key 'basic_auth_user' (did you mean 'basic_auth_users'?)"),
    "older key": ("tls_config: {cert_file: c}", "unknown key 'tls_config' (did you mean 'tls_server_config'?)"),
    "junk": ("hallo", "must be a mapping, not text"),
    "list": ("[]", "must be a mapping, not a list"),
    "typing error in TLS": (TLS + ", min_versoin: TLS12}", "unknown key 'min_versoin' (did you mean 'min_version'?)"),
    "no certificate": ("tls_server_config: {key_file: k}", "tls_server_config: needs the server's certificate: cert"),
    "empty certificate": ("tls_server_config: {cert_file: '', key_file: k}", "needs the server's certificate"),
    "empty inline certificate": ("tls_server_config: {cert: '', key_file: k}", "needs the server's certificate"),
    "no key": ("tls_server_config: {cert_file: c}", "tls_server_config: needs the key of the certificate: key_file"),
    "empty inline key": ("tls_server_config: {cert_file: c, key: ''}", "needs the key of the certificate"),
    "versions alone": ("tls_server_config: {min_version: TLS13}", "needs the server's certificate"),
    "two certificates": ("tls_server_config: {cert: c, cert_file: c, key: k}", "at most one of cert, cert_file may be"),
    "two keys": ("tls_server_config: {cert: c, key: k, key_file: k}", "at most one of key, key_file may be set"),
    "two CAs": (TLS + f", client_auth_type: {BOTH}, client_ca: a, client_ca_file: a}}", "client_ca, client_ca_file"),
    "CA without use": (TLS + ", client_ca_file: a}", "client_ca_file has no effect unless client_auth_type is"),
    "inline CA without use": (TLS + ", client_ca: a}", "client_ca_file has no effect unless client_auth_type is"),
    "any certificate": (TLS + ", client_auth_type: RequireAnyClientCert}", f"RequireAnyClientCert {ANY}"),
    "any certificate, with CA": (TLS + ", client_auth_type: RequireAnyClientCert, client_ca_file: a}", ANY),
    "any certificate, older": (TLS + ", client_auth_type: RequireClientCert}", f"RequireClientCert {ANY}"),
    "unknown type": (TLS + ", client_auth_type: Verify}", "tls_server_config.client_auth_type: unknown client_auth"),
    "names without certificates": (TLS + ", client_allowed_sans: [a]}", "client_allowed_sans needs client_auth_type"),
    "names of optional certificates": (
        TLS + ", client_auth_type: VerifyClientCertIfGiven, client_ca: a, client_allowed_sans: [a]}",
        f"client_allowed_sans needs client_auth_type: {BOTH}",
    ),
    "no names": (TLS + f", client_auth_type: {BOTH}, client_ca: a, client_allowed_sans: []}}", "no client could conn"),
    "unknown version": (TLS + ", min_version: TLS111}", "unknown min_version 'TLS111' (did you mean"),
    "versions": (TLS + ", min_version: TLS13, max_version: TLS12}", "max_version TLS12 is below min_version TLS13"),
    "invented suite": (TLS + ", cipher_suites: [TLS_RSA_WITH_RC5]}", "unknown cipher suite 'TLS_RSA_WITH_RC5'; the"),
    "suites without those of HTTP/2": (
        TLS + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384]}",
        "write http_server_config: {http2: false}",
    ),
    "invented curve": (TLS + ", curve_preferences: [CurveP257]}", "unknown curve 'CurveP257'; known are: CurveP256"),
    "two curves": (TLS + ", curve_preferences: [CurveP256, X25519]}", "must be one curve, or all of CurveP256"),
    "frame option": ("http_server_config: {headers: {X-Frame-Options: allow}}", "must be deny or sameorigin, not"),
    "content type option": ("http_server_config: {headers: {X-Content-Type-Options: sniff}}", "must be nosniff, not"),
    "other header": ("http_server_config: {headers: {Server: x}}", "header Server cannot be set here; those that can"),
    "header of two lines": (
        'http_server_config: {headers: {X-XSS-Protection: "1\\nSet-Cookie: a"}}',
        "must be one line of ASCII text",
    ),
    "limit without a burst": ("rate_limit: {interval: 1s}", "burst 0 would refuse every request; write burst: 1"),
    "limit without a unit": ("rate_limit: {interval: 5, burst: 1}", "must be a duration with a unit (ms, s, m, h)"),
    "negative limit": ("rate_limit: {interval: -1s, burst: 1}", "must be a duration with a unit"),
    "negative burst": ("rate_limit: {interval: 1s, burst: -1}", "rate_limit.burst: must be at least 0"),
    "password": ("basic_auth_users: {ada: secret}", "basic_auth_users.ada: is not a bcrypt hash; create one with"),
    "cut hash": (f"basic_auth_users: {{ada: {HASH[:-1]}}}", "basic_auth_users.ada: is not a bcrypt hash; create"),
    "user with a colon": (f"basic_auth_users: {{'a:b': {HASH}}}", "'a:b' is not a valid user name for basic auth"),
    "number as a hash": ("basic_auth_users: {7: 12345}", "basic_auth_users.7: is not a bcrypt hash"),
}


def loaded(tmp_path: Path, text: str) -> WebConfig:
    file = tmp_path / "web.yml"
    file.write_text(text)
    return load_web_config(file)


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_what_exporter_toolkit_takes_is_taken(tmp_path: Path, text: str) -> None:
    """Every key, and every value of a fixed set."""
    loaded(tmp_path, text)


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_exporter_toolkit_refuses_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """Also what this server cannot do, with what would be right; never with a secret."""
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, text)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{tmp_path}/web.yml:1:")
    assert not any(secret in str(caught.value) for secret in ("12345", "$2y$", ": secret"))


def test_a_client_certificate_protects_if_not_everyone_has_one(tmp_path: Path) -> None:
    """The authorities of the system sign for everyone."""
    required = TLS + f", client_auth_type: {BOTH}"
    assert loaded(tmp_path, required + ", client_ca_file: a}").client_certificates
    assert loaded(tmp_path, required + ", client_allowed_sans: [a]}").client_certificates
    assert not loaded(tmp_path, required + "}").client_certificates
    assert not loaded(
        tmp_path, TLS + ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: a}"
    ).client_certificates


def test_what_has_no_effect_is_reported(tmp_path: Path) -> None:
    """The server logs it at its start."""
    text = TLS + ", client_auth_type: RequestClientCert}\nhttp_server_config: {http2: true}"
    assert list(loaded(tmp_path, text).notes()) == [
        "client_auth_type RequestClientCert verifies no certificate, so none is requested",
        "http_server_config.http2 has no effect: this server speaks HTTP/1.1",
    ]
    assert list(loaded(tmp_path, TLS + "}").notes()) == []


@pytest.mark.parametrize(("text", "seconds"), [("1h", 3600), ("1m1.5s20ms", 61.52), (".5s", 0.5), ("0s", 0), ("0", 0)])
def test_an_interval_is_a_duration_of_go(tmp_path: Path, text: str, seconds: float) -> None:
    """With fractions, which Prometheus' own durations do not have."""
    found = loaded(tmp_path, f"rate_limit: {{interval: {text}, burst: 1}}").rate_limit.interval
    assert found == pytest.approx(seconds)
