"""Web config file in the format of exporter-toolkit: what it may hold."""

from __future__ import annotations

import functools
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

import bcrypt
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from bridge.domain.errors import ConfigError
from bridge.files.validation import Section, checked
from bridge.files.yaml import Document, read
from bridge.net.http_config import Secret, at_most_one
from bridge.net.tls import CURVES, HTTP2_SUITES, SUITES_12, SUITES_13, Version, check_curves, check_versions

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HOW_TO = "create one with: htpasswd -nBC 10 USER"
CHECK_MOST = 2.0  # seconds
_ALWAYS, _NEVER, _MEASURED = 12, 17, 6  # bcrypt costs: accepted up to; refused above; used for the measurement
_VERIFIED = frozenset({"VerifyClientCertIfGiven", "RequireAndVerifyClientCert"})
_ANY = frozenset({"RequireClientCert", "RequireAnyClientCert"})
# Headers of responses that exporter-toolkit lets one set, and their values; () = any.
_HEADERS = {
    "Strict-Transport-Security": (), "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"), "X-XSS-Protection": (), "Content-Security-Policy": (),
}  # fmt: skip
_GO_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)")
_GO_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def _client_auth(value: object) -> object:
    if value in _ANY:
        raise ValueError(
            f"{value} would accept any certificate, even one that nobody signed, which this server cannot: "
            "use RequireAndVerifyClientCert"
        )
    return value or "NoClientCert"


def _suite(value: str) -> str:
    if value not in SUITES_12 and value not in SUITES_13:
        raise ValueError(f"unknown cipher suite {value!r}; the names are Go's: {', '.join([*SUITES_12, *SUITES_13])}")
    return value


def _curve(value: str) -> str:
    if value not in CURVES:
        raise ValueError(f"unknown curve {value!r}; known are: {', '.join(CURVES)}")
    return value


ClientAuth = Annotated[
    Literal["NoClientCert", "RequestClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"],
    BeforeValidator(_client_auth),
]


class TlsServer(Section):
    """`tls_server_config`. Paths are relative to the file's folder."""

    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    client_auth_type: ClientAuth = "NoClientCert"
    client_ca: str = ""
    client_ca_file: str = ""
    client_allowed_sans: tuple[str, ...] | None = None
    min_version: Version = "TLS12"
    max_version: Version = "TLS13"
    cipher_suites: tuple[Annotated[str, AfterValidator(_suite)], ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[Annotated[str, AfterValidator(_curve)], ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> Self:
        at_most_one(cert=self.cert, cert_file=self.cert_file)
        at_most_one(key=self.key, key_file=self.key_file)
        at_most_one(client_ca=self.client_ca, client_ca_file=self.client_ca_file)
        if not (self.cert or self.cert_file):
            raise ValueError("needs the server's certificate: cert_file, or cert")
        if not (self.key or self.key_file):
            raise ValueError("needs the key of the certificate: key_file, or key")
        check_versions(self.min_version, self.max_version)
        check_curves(self.curve_preferences)
        if self.has_client_ca and self.client_auth_type == "NoClientCert":
            raise ValueError("client_ca_file has no effect unless client_auth_type is RequireAndVerifyClientCert")
        self._check_sans()
        return self

    def _check_sans(self) -> None:
        if self.client_allowed_sans is None:
            return
        if self.client_auth_type != "RequireAndVerifyClientCert":
            raise ValueError("client_allowed_sans needs client_auth_type: RequireAndVerifyClientCert")
        if not self.client_allowed_sans:
            raise ValueError("client_allowed_sans is empty, so that no client could connect; list names, or remove it")

    @property
    def has_client_ca(self) -> bool:
        """True if the file names the authorities of client certificates; else the system's are trusted."""
        return bool(self.client_ca or self.client_ca_file)

    @property
    def verifies(self) -> bool:
        """True if client certificates are requested and verified."""
        return self.client_auth_type in _VERIFIED


def _header(headers: Mapping[str, str]) -> Mapping[str, str]:
    for name, value in headers.items():
        if name not in _HEADERS:
            raise ValueError(f"header {name} cannot be set here; those that can are {', '.join(_HEADERS)}")
        if _HEADERS[name] and value not in _HEADERS[name]:
            raise ValueError(f"{name} must be {' or '.join(_HEADERS[name])}, not {value!r}")
        if not value.isprintable() or not value.isascii():
            raise ValueError(f"{name} must be one line of ASCII text")
    return headers


class HttpServer(Section):
    """`http_server_config`. http2: without effect, the server speaks HTTP/1.1. headers: of every response."""

    may_be_empty = frozenset({"headers"})
    http2: bool = True
    headers: Annotated[Mapping[str, str], AfterValidator(_header)] = Field(default_factory=dict)


def _interval(value: object) -> float:
    """Return the seconds of a Go duration, such as 500ms or 1m30s."""
    text = str(value).removeprefix("+")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("must be a duration such as 500ms or 1s")  # noqa: TRY004 - pydantic expects ValueErrors
    if text in {"0", "0.0"}:
        return 0.0
    if re.fullmatch(rf"(?:{_GO_PART.pattern})+", text) is None:
        raise ValueError(f"must be a duration with a unit (ms, s, m, h) such as 500ms or 1s, not {value!r}")
    return sum(float(number) * _GO_UNITS[unit] for number, unit in _GO_PART.findall(text))


class RateLimit(Section):
    """`rate_limit`: token bucket over all requests. interval: seconds for one token, 0 = no limit."""

    interval: Annotated[
        float, BeforeValidator(_interval), WithJsonSchema({"type": ["string", "number"]}, mode="validation")
    ] = 0.0
    burst: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _open(self) -> Self:
        if self.interval and not self.burst:
            raise ValueError("burst 0 would refuse every request; write burst: 1 or more")
        return self


def _user(name: str) -> str:
    if ":" in name or not name:
        raise ValueError(f"{name!r} is not a valid user name for basic auth: it is empty or contains a colon")
    return name


def _hash(text: str) -> str:
    """Return the hash. Raises ValueError if it is not a bcrypt hash, or if one check of it takes too long."""
    match = _BCRYPT.fullmatch(text)
    if match is None:
        raise ValueError(f"is not a bcrypt hash; {_HOW_TO}")
    if not affordable(int(match[1])):
        raise ValueError(f"bcrypt cost {match[1]} takes more than {CHECK_MOST:g} s per sign-in on this host; {_HOW_TO}")
    return text


def affordable(cost: int) -> bool:
    """Return whether one check takes at most CHECK_MOST seconds; measured only if it depends on the host."""
    if cost <= _ALWAYS or cost > _NEVER:
        return cost <= _ALWAYS
    return _seconds_of_a_check() * 2.0 ** (cost - _MEASURED) <= CHECK_MOST


@functools.cache
def _seconds_of_a_check() -> float:
    """Return the CPU time of one check at cost _MEASURED: the minimum of three, so that load does not matter."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        bcrypt.hashpw(b"", bcrypt.gensalt(_MEASURED))
        times.append(time.thread_time() - start)
    return min(times)


class WebConfig(Section):
    """Content of the web config file. basic_auth_users: bcrypt hash by user name."""

    may_be_empty = frozenset({"tls_server_config", "http_server_config", "rate_limit", "basic_auth_users"})
    tls_server_config: TlsServer | None = None
    http_server_config: HttpServer = HttpServer()
    rate_limit: RateLimit = RateLimit()
    basic_auth_users: dict[Annotated[str, AfterValidator(_user)], Annotated[str, AfterValidator(_hash)]] = Field(
        default_factory=dict
    )

    @model_validator(mode="after")
    def _http2(self) -> Self:
        tls = self.tls_server_config
        limited = tls is not None and tls.cipher_suites and tls.min_version != "TLS13" and self.http_server_config.http2
        if tls is not None and limited and not set(HTTP2_SUITES) & set(tls.cipher_suites):
            raise ValueError(
                f"HTTP/2 needs one of {' and '.join(HTTP2_SUITES)} among cipher_suites; "
                "add it, or write http_server_config: {http2: false}"
            )
        return self

    @property
    def client_certificates(self) -> bool:
        """True if only clients with a certificate of authorities that the file names, or one of its SANs, can connect.

        The system's authorities sign for everyone, so they alone protect nothing.
        """
        tls = self.tls_server_config
        limited = tls is not None and (tls.has_client_ca or tls.client_allowed_sans)
        return tls is not None and bool(limited) and tls.client_auth_type == "RequireAndVerifyClientCert"

    def notes(self) -> Iterator[str]:
        """Yield what is taken and has no effect."""
        tls = self.tls_server_config
        if tls is not None and tls.client_auth_type == "RequestClientCert":
            yield "client_auth_type RequestClientCert verifies no certificate, so none is requested"
        if tls is not None and "http2" in self.http_server_config.model_fields_set and self.http_server_config.http2:
            yield "http_server_config.http2 has no effect: this server speaks HTTP/1.1"


def load_web_config(path: Path | None) -> WebConfig:
    """Return the validated file; the defaults without a file. Raises ConfigError with every problem."""
    if path is None:
        return WebConfig()
    document = read(path, lenient=True)
    if document.value is None:
        hint = "write {} to serve without TLS and users, or omit --web.config.file"
        raise document.refused(0, "is empty", hint)
    config = checked(WebConfig, document.value, document, ())
    if config is None or document.problems:
        raise ConfigError(document.problems)
    return config


def line_of(path: Path, key: str) -> int:
    """Return the line of a key of tls_server_config; 0 if the file cannot be read any more."""
    try:
        document: Document = read(path, lenient=True)
    except ConfigError:
        return 0
    return document.lines.get(("tls_server_config", key), 0)
