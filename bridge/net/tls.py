"""TLS by the words of Prometheus: versions, cipher suites and curves by Go's names, certificates from text or files."""

from __future__ import annotations

import ssl
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from bridge.net.files import readable

Version = Literal["TLS10", "TLS11", "TLS12", "TLS13"]
Limit = Literal["", Version]  # "" = none
VERSIONS = MappingProxyType(
    {
        "TLS10": ssl.TLSVersion.TLSv1, "TLS11": ssl.TLSVersion.TLSv1_1,
        "TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3,
    }
)  # fmt: skip
SUITES_13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
HTTP2_SUITES = ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")
SUITES_12 = MappingProxyType(
    {
        "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": "ECDHE-ECDSA-AES128-GCM-SHA256",
        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": "ECDHE-ECDSA-AES256-GCM-SHA384",
        "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-ECDSA-CHACHA20-POLY1305",
        "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA": "ECDHE-ECDSA-AES128-SHA",
        "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA": "ECDHE-ECDSA-AES256-SHA",
        "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256": "ECDHE-RSA-AES128-GCM-SHA256",
        "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384": "ECDHE-RSA-AES256-GCM-SHA384",
        "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256": "ECDHE-RSA-CHACHA20-POLY1305",
        "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA": "ECDHE-RSA-AES128-SHA",
        "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA": "ECDHE-RSA-AES256-SHA",
        "TLS_RSA_WITH_AES_128_GCM_SHA256": "AES128-GCM-SHA256",
        "TLS_RSA_WITH_AES_256_GCM_SHA384": "AES256-GCM-SHA384",
        "TLS_RSA_WITH_AES_128_CBC_SHA": "AES128-SHA",
        "TLS_RSA_WITH_AES_256_CBC_SHA": "AES256-SHA",
    }
)
CURVES = MappingProxyType(
    {
        "CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519",
        "X25519MLKEM768": "X25519MLKEM768",
    }
)  # fmt: skip
# What OpenSSL offers by itself: a list of all of these limits nothing.
USUAL_CURVES = frozenset({"CurveP256", "CurveP384", "CurveP521", "X25519"})
_OLD = frozenset({"TLS10", "TLS11"})


def check_versions(lowest: str, highest: str) -> None:
    """Raise ValueError if no version is left between min_version and max_version, "" = no limit."""
    if lowest and highest and VERSIONS[highest] < VERSIONS[lowest]:
        raise ValueError(f"max_version {highest} is below min_version {lowest}")


def limit(context: ssl.SSLContext, lowest: str, highest: str = "", suites: Sequence[str] = ()) -> None:
    """Limit the versions, and the suites of TLS 1.2 and older (() = OpenSSL's own). Raises ssl.SSLError.

    Suites of TLS 1.3 cannot be limited, as in Go: a list of those alone leaves TLS 1.3 alone.
    """
    named = [SUITES_12[suite] for suite in suites if suite in SUITES_12]
    if suites and not named:
        lowest = "TLS13"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of versions that the operator chose
        context.minimum_version = VERSIONS[lowest]
        if highest:
            context.maximum_version = VERSIONS[highest]
    old = bool(_OLD & {lowest, highest})  # OpenSSL has their signatures at its lowest security level only
    if named or old:
        context.set_ciphers(":".join(named or ["DEFAULT"]) + (":@SECLEVEL=0" if old else ""))


@cache
def can_limit_curves() -> bool:
    """Return whether this Python limits key exchange to a curve: that of Debian 12 only adds one for TLS 1.2."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).set_ecdh_curve(CURVES["X25519"])
    except (ssl.SSLError, ValueError):
        return False
    return True


def limit_curves(context: ssl.SSLContext, curves: Sequence[str]) -> None:
    """Limit key exchange to a curve; Python sets one, so `check_curves` accepts one or all. Raises ValueError."""
    if not curves or set(curves) >= USUAL_CURVES:
        return
    if not can_limit_curves():
        raise ValueError("Python of this host cannot limit key exchange to a curve; remove the key, or use a newer one")
    try:
        context.set_ecdh_curve(CURVES[curves[0]])
    except (ssl.SSLError, ValueError):
        raise ValueError(f"OpenSSL of this host does not have {curves[0]}") from None


def check_curves(curves: Sequence[str]) -> None:
    """Raise ValueError for a choice that Python cannot make."""
    if len(set(curves)) > 1 and not set(curves) >= USUAL_CURVES:
        raise ValueError("must be one curve, or all of CurveP256, CurveP384, CurveP521 and X25519; name one")


@contextmanager
def as_file(text: str, file: Path) -> Iterator[Path]:
    """Yield a file with an inline `text`, which no one else can read; without text, `file`. Raises OSError."""
    if not text:
        readable(file)
        yield file
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".pem") as inline:
        inline.write(text)
        inline.flush()
        yield Path(inline.name)


def load_pair(context: ssl.SSLContext, cert: str, cert_file: Path, key: str, key_file: Path) -> None:
    """Load a certificate chain and its key, each inline or from a file. Raises OSError, of which SSLError is one."""
    with as_file(cert, cert_file) as chain, as_file(key, key_file) as secret:
        # Without a callback OpenSSL would ask for a password on the terminal, and block.
        context.load_cert_chain(chain, secret, password=lambda: "")


def trust(context: ssl.SSLContext, ca: str, ca_file: Path) -> None:
    """Trust the authorities of an inline PEM text, or of a file, intermediate ones too, as Go does. Raises OSError."""
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    with as_file(ca, ca_file) as file:
        context.load_verify_locations(file)
