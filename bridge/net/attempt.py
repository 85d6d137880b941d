"""One HTTP exchange over a requests session: sending without requests' preparation where it adds nothing, and reading.

A request to a plain URL without a proxy goes to the session's adapter as it is, with the session's headers and
credentials; all others, and redirects, go through requests.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import requests
from requests.structures import CaseInsensitiveDict

CHUNK = 1 << 20
# A URL that requests would send as it is: ASCII host, a path, no user, no fragment, nothing to quote.
_PLAIN = re.compile(r"https?://[a-z0-9.:\[\]-]+/(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]+|%[0-9A-Fa-f]{2})*")


def send(
    session: requests.Session, method: str, url: str, data: bytes | None, headers: Mapping[str, str], deadline: float,
    *, redirects: bool,
) -> requests.Response:  # fmt: skip
    """Make one request and return the response, its body unread. redirects: whether they are followed."""
    if session.proxies or session.params or not _PLAIN.fullmatch(url):
        return session.request(
            method, url, data=data, headers=dict(headers), stream=True, timeout=deadline, allow_redirects=redirects,
            proxies=_proxies_for(session, url),
        )  # fmt: skip
    request = _prepared(session, method, url, data, headers)
    response: requests.Response = session.get_adapter(url).send(request, stream=True, timeout=deadline)
    if redirects and response.is_redirect:
        response = [response, *session.resolve_redirects(response, request, stream=True, timeout=deadline)][-1]
    return response


def _prepared(
    session: requests.Session, method: str, url: str, data: bytes | None, headers: Mapping[str, str]
) -> requests.PreparedRequest:
    """Return the request as `session.request` would prepare it."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body, request.hooks = method, url, data, session.hooks
    request.headers = CaseInsensitiveDict()
    request.headers.update({name: str(value) for name, value in session.headers.items()})
    request.headers.update(headers)
    request.prepare_cookies(session.cookies)
    request.prepare_content_length(data)
    if callable(session.auth):
        session.auth(request)
    return request


def read(response: requests.Response, max_bytes: int, *, must_fit: bool) -> tuple[bytes, bool]:
    """Return the body up to `max_bytes` and whether it was truncated, from the raw stream (requests copies in 10 kB).

    The limit applies to the decompressed size, checked piece by piece. must_fit: nothing of a larger body is returned,
    and nothing is read if Content-Length already exceeds the limit.
    """
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    if must_fit and size > max_bytes:
        return b"", True
    if 0 < size <= max_bytes and "Content-Encoding" not in response.headers:
        return response.raw.read(), False  # in one read: joining chunks would copy a large body twice more
    parts, remaining = list[bytes](), max_bytes + 1
    for part in _pieces(response, remaining):
        parts.append(part)
        remaining -= len(part)
        if remaining <= 0:
            return (b"", True) if must_fit else (b"".join(parts)[:max_bytes], True)
    return (parts[0] if len(parts) == 1 else b"".join(parts)), False


def _pieces(response: requests.Response, most: int) -> Iterator[bytes]:
    """Yield the body in pieces of at most `most` bytes: chunks as the server made them, where it did."""
    raw: Any = response.raw
    if getattr(raw, "chunked", False) and "Content-Encoding" not in response.headers:
        yield from raw.read_chunked(most)  # Prometheus sends a large body as one chunk
        return
    while part := raw.read(min(CHUNK, most), decode_content=True):
        yield part


def _proxies_for(session: requests.Session, url: str) -> dict[str, str]:
    """Return settings that bypass the proxy for hosts in `no_proxy` (requests only reads it from the environment)."""
    without = session.proxies.get("no_proxy") or session.proxies.get("no") or ""
    if without and requests.utils.should_bypass_proxies(url, without):
        return {"http": "", "https": ""}
    return {}
