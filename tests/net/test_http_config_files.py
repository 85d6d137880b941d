"""http_config files of the kinds that prometheus/common takes and refuses."""

from __future__ import annotations

import pytest

from bridge.files.validation import checked
from bridge.files.yaml import Document, parse
from bridge.net.http_config import HttpConfig

TAKEN = {
    "basic auth, inline": "basic_auth: {username: u, password: p}",
    "basic auth, files": "basic_auth: {username_file: u, password_file: p}",
    "user without password": "basic_auth: {username: u}",
    "authorization": "authorization: {type: APIKEY, credentials: c}",
    "authorization without a type": "authorization: {type: '', credentials: c}",
    "authorization, file": "authorization: {credentials_file: token}",
    "older bearer token": "bearer_token: t",
    "older bearer token, file": "bearer_token_file: token",
    "OAuth 2": "oauth2: {client_id: i, client_secret: s, token_url: http://t, scopes: [a], endpoint_params: {b: c}}",
    "OAuth 2 without a secret": "oauth2: {client_id: i, token_url: http://t}",
    "OAuth 2, its own TLS and proxy": "oauth2: {client_id: i, client_secret_file: s, token_url: https://t,"
    " tls_config: {ca_file: ca.pem}, proxy_url: http://p, no_proxy: x, proxy_connect_header: {A: [b]}}",
    "TLS, files": "tls_config: {ca_file: a, cert_file: b, key_file: c, server_name: d, insecure_skip_verify: true}",
    "TLS, inline": "tls_config: {ca: a, cert: b, key: c}",
    "TLS, mixed": "tls_config: {cert: b, key_file: c}",
    "TLS versions": "tls_config: {min_version: TLS10, max_version: TLS13}",
    "one TLS version": "tls_config: {min_version: TLS12, max_version: TLS12}",
    "highest TLS version": "tls_config: {max_version: TLS11}",
    "proxy": "{proxy_url: http://p, no_proxy: 'a,10.0.0.0/8', proxy_connect_header: {Proxy-Authorization: [x, y]}}",
    "proxy of the environment": "{proxy_from_environment: true, proxy_connect_header: {A: [b]}}",
    "no proxy": "proxy_url: ''",
    "HTTP/2": "enable_http2: true",
    "HTTP/1.1": "enable_http2: false",
    "redirects": "follow_redirects: false",
    "headers": "http_headers: {one: {values: [a, b]}, two: {secrets: [c]}, three: {files: [d, e]}}",
}
AUTH = "at most one of"
REFUSED = {
    "user and file": ("basic_auth: {username: u, username_file: f}", f"basic_auth: {AUTH} username, username_file"),
    "password and file": ("basic_auth: {password: p, password_file: f}", f"basic_auth: {AUTH} password, password_file"),
    "password of a manager": (
        "basic_auth: {username: u, password_ref: r}",
        "password_ref: unknown key 'password_ref' (the bridge has no secret manager; write the secret to a file: ",
    ),
    "user of a manager": ("basic_auth: {username_ref: r}", "write the secret to a file: username_file"),
    "credentials of a manager": ("authorization: {credentials_ref: r}", "a file: credentials_file"),
    "secret of a manager": ("oauth2: {client_id: i, token_url: http://t, client_secret_ref: r}", "client_secret_file"),
    "CA of a manager": ("tls_config: {ca_ref: r}", "tls_config.ca_ref: unknown key 'ca_ref' (the bridge has no"),
    "certificate of a manager": ("tls_config: {cert_ref: r, key_ref: s}", "a file: cert_file"),
    "basic as authorization": ("authorization: {type: ' Basic', credentials: c}", "for type Basic use basic_auth"),
    "credentials and file": ("authorization: {credentials: c, credentials_file: f}", f"{AUTH} credentials, cred"),
    "basic auth and authorization": ("{basic_auth: {username: u}, authorization: {credentials: c}}", f"{AUTH} basic"),
    "basic auth and bearer token": ("{basic_auth: {username: u}, bearer_token: t}", f"{AUTH} basic_auth, bearer_token"),
    "authorization and bearer": ("{authorization: {credentials: c}, bearer_token_file: t}", f"{AUTH} authorization"),
    "two bearer tokens": ("{bearer_token: t, bearer_token_file: t}", f"{AUTH} bearer_token, bearer_token_file"),
    "OAuth 2 without an id": ("oauth2: {client_secret: s, token_url: http://t}", "oauth2: key 'client_id' is missing"),
    "OAuth 2, empty id": ("oauth2: {client_id: '', token_url: http://t}", "oauth2: client_id must not be empty"),
    "OAuth 2 without a URL": ("oauth2: {client_id: i}", "oauth2: key 'token_url' is missing"),
    "OAuth 2, two secrets": (
        "oauth2: {client_id: i, token_url: http://t, client_secret: s, client_secret_file: f}", f"{AUTH} client_secret"
    ),
    "OAuth 2 by certificate": (
        "oauth2: {client_id: i, token_url: http://t, client_certificate_key_file: k}",
        "oauth2.client_certificate_key_file: unknown key 'client_certificate_key_file' (the bridge requests tokens",
    ),
    "two CAs": ("tls_config: {ca: a, ca_file: f}", f"tls_config: {AUTH} ca, ca_file"),
    "two certificates": ("tls_config: {cert: a, cert_file: f, key: k}", f"tls_config: {AUTH} cert, cert_file"),
    "two keys": ("tls_config: {cert: a, key: k, key_file: f}", f"tls_config: {AUTH} key, key_file"),
    "half a pair": ("tls_config: {cert: a}", "cert_file and key_file must be set together"),
    "unknown version": ("tls_config: {min_version: TLS14}", "unknown min_version 'TLS14' (did you mean 'TLS13'?)"),
    "versions": ("tls_config: {min_version: TLS13, max_version: TLS12}", "max_version TLS12 is below min_version"),
    "proxy header alone": ("proxy_connect_header: {A: [b]}", "proxy_connect_header requires proxy_url or proxy_from"),
    "no_proxy alone": ("no_proxy: a", "no_proxy requires proxy_url"),
    "no_proxy of the environment": ("{proxy_from_environment: true, no_proxy: a}", "no_proxy requires proxy_url"),
    "two proxies": ("{proxy_url: http://p, proxy_from_environment: true}", f"{AUTH} proxy_url, proxy_from_environment"),
    "other proxy": ("proxy_url: socks5://p", "must be the http or https URL of a proxy"),
    "header twice": ("http_headers: {one: {values: [a]}, ONE: {values: [b]}}", "http_headers sets ONE twice"),
    "reserved header": ("http_headers: {User-Agent: {values: [a]}}", "http_headers may not set User-Agent"),
    "reserved header, file": ("http_headers: {x-amz-date: {files: [a]}}", "http_headers may not set x-amz-date"),
    "typing error": ("tls_confg: {}", "unknown key 'tls_confg' (did you mean 'tls_config'?)"),
}  # fmt: skip


def problems(text: str) -> list[str]:
    document = parse(text, Document("http.yml", lenient=True))
    checked(HttpConfig, document.value, document, ())
    return [str(problem) for problem in document.problems]


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_what_prometheus_takes_is_taken(text: str) -> None:
    """Every key of its http_config."""
    assert problems(text) == []


@pytest.mark.parametrize(("text", "message"), REFUSED.values(), ids=REFUSED)
def test_what_prometheus_refuses_is_refused(text: str, message: str) -> None:
    """Also what the bridge cannot do, with what would be right."""
    found = problems(text)
    assert any(message in problem for problem in found), found
