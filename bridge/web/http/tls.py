"""Server-side TLS; a renewed certificate takes effect without a restart."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from bridge.domain.errors import ConfigError, Problem
from bridge.net.tls import limit, limit_curves, load_pair, trust
from bridge.web.http.web_config import TlsServer, line_of, load_web_config
from bridge.web.http.web_config_file import stamp

log = logging.getLogger(__name__)

_MODES = {"RequireAndVerifyClientCert": ssl.CERT_REQUIRED, "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL}


def server_context(config: TlsServer, file: Path) -> ssl.SSLContext:
    """Return the TLS context for the web config in `file`. Raises ConfigError.

    Certificate and key are reloaded at the first handshake after a change; other settings need a restart.
    """
    context = _build(config, file)
    sources = (file, file.parent / config.cert_file, file.parent / config.key_file)
    seen, latest = stamp(*sources), context

    def renew(socket: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal seen, latest
        current = stamp(*sources)
        if current != seen:
            try:
                latest = _build(_inline(config, file), file)
                seen = current
                log.info("certificate reloaded", extra={"file": str(sources[1])})
            except ConfigError as error:  # half written: the next handshake tries again
                log.warning("cannot load certificate, keeping the previous one", extra={"error": str(error)})
        socket.context = latest

    context.sni_callback = renew  # also called for clients without a server name
    return context


def _inline(config: TlsServer, file: Path) -> TlsServer:
    """Return `config` with the present certificate and key, where they are inline. Raises ConfigError."""
    if not (config.cert or config.key):
        return config
    present = load_web_config(file).tls_server_config
    return config if present is None else config.model_copy(update={"cert": present.cert, "key": present.key})


def _build(config: TlsServer, file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    folder = file.parent
    problems = []
    try:
        load_pair(context, config.cert, folder / config.cert_file, config.key.reveal(), folder / config.key_file)
    except OSError as error:
        key = "cert" if config.cert else "cert_file"
        names = f"{config.cert_file or 'cert'} with {config.key_file or 'key'}"
        problems.append(_problem(file, key, f"cannot use {names}: {error.strerror or error}"))
    try:
        if config.has_client_ca:
            trust(context, config.client_ca, folder / config.client_ca_file)
        elif config.verifies:
            context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    except OSError as error:
        key = "client_ca" if config.client_ca else "client_ca_file"
        problems.append(_problem(file, key, f"cannot use {config.client_ca_file or key}: {error.strerror or error}"))
    problems += _limit(context, config, file)
    if problems:
        raise ConfigError(problems)
    if not config.prefer_server_cipher_suites:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.verify_mode = _MODES.get(config.client_auth_type, ssl.CERT_NONE)
    return context


def _limit(context: ssl.SSLContext, config: TlsServer, file: Path) -> list[Problem]:
    """Limit versions, cipher suites and curves; return what this host's OpenSSL does not have."""
    problems = []
    try:
        limit(context, config.min_version, config.max_version, config.cipher_suites)
    except (ssl.SSLError, ValueError) as error:
        problems.append(_problem(file, "cipher_suites", f"OpenSSL of this host: {error}"))
    try:
        limit_curves(context, config.curve_preferences)
    except ValueError as error:
        problems.append(_problem(file, "curve_preferences", str(error)))
    return problems


def allowed(peer: Mapping[str, Any] | None, names: Sequence[str]) -> bool:
    """Return whether a verified certificate, as ssl's getpeercert() has it, has one of `names` as its SAN."""
    found = {_san(kind, value) for kind, value in (peer or {}).get("subjectAltName", ())}
    return bool(found & set(names))


def _san(kind: str, value: str) -> str:
    """Return a name as Go writes it; OpenSSL writes addresses of IPv6 in full."""
    try:
        return str(ip_address(value.strip())) if kind == "IP Address" else value
    except ValueError:
        return value


def _problem(file: Path, key: str, message: str) -> Problem:
    return Problem(str(file), line_of(file, key), f"tls_server_config.{key}", message)
