"""Server-side TLS; a renewed certificate takes effect without a restart."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from bridge.domain.errors import ConfigError, Problem
from bridge.net.files import readable
from bridge.web.http.web_config import TlsServer, stamp

log = logging.getLogger(__name__)

_MODES = {"RequireAndVerifyClientCert": ssl.CERT_REQUIRED, "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL}
_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}


def server_context(config: TlsServer, file: Path) -> ssl.SSLContext:
    """Return the TLS context for the web config in `file`. Raises ConfigError.

    Certificate and key are reloaded at the first handshake after a change; other settings need a restart.
    """
    context = _build(config, file)
    pair = (file.parent / config.cert_file, file.parent / config.key_file)
    seen, latest = stamp(*pair), context

    def renew(socket: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        nonlocal seen, latest
        current = stamp(*pair)
        if current != seen:
            try:
                latest = _build(config, file)
                seen = current
                log.info("certificate reloaded", extra={"file": str(pair[0])})
            except ConfigError as error:  # half written: the next handshake tries again
                log.warning("cannot load certificate, keeping the previous one", extra={"error": str(error)})
        socket.context = latest

    context.sni_callback = renew  # also called for clients without a server name
    return context


def _build(config: TlsServer, file: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    problems = []
    pair = (file.parent / config.cert_file, file.parent / config.key_file)
    try:
        readable(*pair)
        context.load_cert_chain(*pair, password=_no_password)
    except OSError as error:
        problems.append(_problem(file, "cert_file", f"{config.cert_file} with {config.key_file}", error))
    if config.client_ca_file:
        try:
            readable(file.parent / config.client_ca_file)
            context.load_verify_locations(file.parent / config.client_ca_file)
        except OSError as error:
            problems.append(_problem(file, "client_ca_file", config.client_ca_file, error))
    if problems:
        raise ConfigError(problems)
    context.verify_mode = _MODES.get(config.client_auth_type, ssl.CERT_NONE)
    return context


def _no_password() -> str:
    """Return no password; without this callback OpenSSL would prompt on the terminal and block the start."""
    return ""


def _problem(file: Path, key: str, what: str, error: OSError) -> Problem:
    return Problem(str(file), 0, f"tls_server_config.{key}", f"cannot use {what}: {error.strerror or error}")
