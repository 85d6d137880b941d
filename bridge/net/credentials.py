"""Credentials of HTTP requests. Files are read at every use, so that rotated credentials apply at once."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase, _basic_auth_str

from bridge.net.files import read_text
from bridge.net.http_config import Authorization, BasicAuth, HeaderValues, HttpConfig, OAuth2

EARLY = 30.0  # seconds before its expiry from which a token is no longer used


class CredentialError(Exception):
    """Credential that could not be obtained."""


class Authorizer(Protocol):
    """Authorization of whole requests, in place of a fixed header. headers: those that it sets."""

    headers: tuple[str, ...]

    def authorize(self, request: requests.PreparedRequest) -> None:
        """Add the headers to a request that is complete otherwise. Raises CredentialError."""
        ...

    def forget(self) -> None:
        """Drop what may have caused a refusal."""
        ...


class TokenCache:
    """Token that is reused until shortly before it expires. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._token = ""
        self._ends = 0.0

    def get(self, fetch: Callable[[], tuple[str, float]]) -> str:
        """Return the token. fetch: returns a new one and its lifetime in seconds."""
        with self._lock:
            if self._token and time.monotonic() < self._ends:
                return self._token
        token, lifetime = fetch()  # without the lock, so that other attempts do not wait for it
        with self._lock:
            self._token, self._ends = token, time.monotonic() + max(0.0, lifetime - EARLY)
        return token

    def forget(self) -> None:
        """Drop the token: the server refused it."""
        with self._lock:
            self._token = ""


def token_of(body: bytes, url: str) -> tuple[str, float]:
    """Return token and lifetime (seconds) from a token server's answer. Raises CredentialError."""
    try:
        answer = json.loads(body)
        return str(answer["access_token"]), float(answer.get("expires_in", 3600))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        host = urlsplit(url).netloc.rpartition("@")[2]
        raise CredentialError(f"{host} answered without an access_token") from None


def read_secret(path: str, base_dir: Path) -> str:
    """Return the content of a secret file, stripped. Raises CredentialError, which names the path."""
    try:
        return read_text(base_dir / path).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "is not UTF-8"
        raise CredentialError(f"cannot read {base_dir / path}: {reason}") from None


def usable(name: str, value: str) -> str:
    """Return `value` if it is valid in a header. Raises CredentialError, which, unlike a library's, omits the value."""
    try:
        encoded = value.encode("latin-1")
    except UnicodeEncodeError:
        raise CredentialError(f"the value of header {name} has characters outside Latin-1") from None
    if any((byte < 32 and byte != 9) or byte == 127 for byte in encoded):
        raise CredentialError(f"the value of header {name} has a line break or another control character")
    return value


class Credentials(AuthBase):
    """Authentication and extra headers of one session, for its own host only (dropped on a redirect elsewhere)."""

    def __init__(
        self,
        config: HttpConfig,
        base_dir: Path,
        fetch: Callable[[OAuth2, Mapping[str, str]], bytes],
        authorizer: Authorizer | None = None,
    ) -> None:
        self._config = config
        self._base_dir = base_dir
        self._fetch = fetch
        self._tokens = TokenCache()
        self._authorizer = authorizer

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Add the headers; requests calls this for every request that it prepares."""
        header = self._authorization()
        if header:
            request.headers["Authorization"] = usable("Authorization", header)
        for name, entry in self._config.http_headers.items():
            request.headers[name] = usable(name, ", ".join(self._values(entry)))
        if self._authorizer is not None:
            self._authorizer.authorize(request)
        return request

    def strip(self, request: requests.PreparedRequest) -> None:
        """Remove the headers again: the request goes to another host."""
        more = () if self._authorizer is None else self._authorizer.headers
        for name in ("Authorization", *self._config.http_headers, *more):
            request.headers.pop(name, None)

    def forget(self) -> None:
        """Drop the fetched token: the server refused it."""
        self._tokens.forget()
        if self._authorizer is not None:
            self._authorizer.forget()

    def _authorization(self) -> str:
        config = self._config
        if config.basic_auth is not None:
            return self._basic(config.basic_auth)
        if config.bearer is not None:
            return self._scheme(config.bearer)
        if config.oauth2 is not None:
            auth = config.oauth2
            return f"Bearer {self._tokens.get(lambda: self._request_token(auth))}"
        return ""

    def _basic(self, auth: BasicAuth) -> str:
        user = read_secret(auth.username_file, self._base_dir) if auth.username_file else auth.username
        password = read_secret(auth.password_file, self._base_dir) if auth.password_file else auth.password.reveal()
        return _basic_auth_str(user.encode(), password.encode())

    def _scheme(self, auth: Authorization) -> str:
        file = auth.credentials_file
        value = read_secret(file, self._base_dir) if file else auth.credentials.reveal()
        return f"{auth.scheme} {value}" if value else ""

    def _values(self, entry: HeaderValues) -> list[str]:
        secrets = [secret.reveal() for secret in entry.secrets]
        return [*entry.values, *secrets, *(read_secret(file, self._base_dir) for file in entry.files)]

    def _request_token(self, auth: OAuth2) -> tuple[str, float]:
        file = auth.client_secret_file
        secret = read_secret(file, self._base_dir) if file else auth.client_secret.reveal()
        form = {"grant_type": "client_credentials", "client_id": auth.client_id, "client_secret": secret}
        if auth.scopes:
            form["scope"] = " ".join(auth.scopes)
        more = {name: value.reveal() for name, value in auth.endpoint_params.items()}
        return token_of(self._fetch(auth, {**form, **more}), auth.token_url)
