"""One HTTP exchange over a requests session: sending without what requests adds where it adds nothing, and reading.

A request to a plain URL without a proxy goes directly to the connection pools of the session's adapter, with the
session's headers and credentials; all others, and redirects, go through requests.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping

import requests
from requests.structures import CaseInsensitiveDict
from urllib3 import BaseHTTPResponse

from bridge.net.adapter import Adapter

CHUNK = 1 << 20
# A URL that requests would send as it is: ASCII host, a path, no user, no fragment, nothing to quote.
_PLAIN = re.compile(r"(https?://[a-z0-9.:\[\]-]+)(/(?:[A-Za-z0-9\-._~:/?\[\]@!$&'()*+,;=]+|%[0-9A-Fa-f]{2})*)")


@contextlib.contextmanager
def exchange(
    session: requests.Session, method: str, url: str, data: bytes | None, headers: Mapping[str, str], deadline: float,
    *, redirects: bool,
) -> Iterator[BaseHTTPResponse]:  # fmt: skip
    """Make one request and yield the response, its body unread; its connection is reused if the block reads it whole.

    redirects: whether they are followed.
    """
    response = _send(session, method, url, data, headers, deadline, redirects=redirects)
    try:
        yield response
    finally:
        response.close()
        response.release_conn()


def _send(
    session: requests.Session, method: str, url: str, data: bytes | None, headers: Mapping[str, str], deadline: float,
    *, redirects: bool,
) -> BaseHTTPResponse:  # fmt: skip
    plain = None if session.proxies or session.params else _PLAIN.fullmatch(url)
    adapter = session.get_adapter(url)
    if plain is None or not isinstance(adapter, Adapter):
        answer = session.request(
            method, url, data=data, headers=dict(headers), stream=True, timeout=deadline, allow_redirects=redirects,
            proxies=_proxies_for(session, url),
        )  # fmt: skip
        return _raw(answer)
    request = _prepared(session, method, url, data, headers)
    target = str(request.url).removeprefix(plain[1])  # a signer may have encoded the query anew
    response = adapter.exchange(request, plain[1], target, deadline)
    if redirects and response.get_redirect_location():
        request.prepare_cookies(session.cookies)  # which requests needs to follow it
        first = adapter.build_response(request, response)
        *_, last = session.resolve_redirects(first, request, stream=True, timeout=deadline)
        return _raw(last)
    return response


def _raw(response: requests.Response) -> BaseHTTPResponse:
    raw: BaseHTTPResponse = response.raw
    return raw


def _prepared(
    session: requests.Session, method: str, url: str, data: bytes | None, headers: Mapping[str, str]
) -> requests.PreparedRequest:
    """Return the request as `session.request` would prepare it."""
    request = requests.PreparedRequest()
    request.method, request.url, request.body, request.hooks = method, url, data, session.hooks
    request.headers = CaseInsensitiveDict()
    request.headers.update({name: str(value) for name, value in session.headers.items()})
    request.headers.update(headers)
    if len(session.cookies):
        request.prepare_cookies(session.cookies)
    request.prepare_content_length(data)
    if callable(session.auth):
        session.auth(request)
    return request


def read(response: BaseHTTPResponse, max_bytes: int, *, must_fit: bool) -> tuple[bytes, bool]:
    """Return the body up to `max_bytes` and whether it was truncated.

    The limit applies to the decompressed size, checked piece by piece. must_fit: nothing of a larger body is returned,
    and nothing is read if Content-Length already exceeds the limit.
    """
    length = response.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else 0
    if must_fit and size > max_bytes:
        return b"", True
    if 0 < size <= max_bytes and "Content-Encoding" not in response.headers:
        return response.read(), False  # in one read: joining chunks would copy a large body twice more
    parts, remaining = list[bytes](), max_bytes + 1
    for part in _pieces(response, remaining):
        parts.append(part)
        remaining -= len(part)
        if remaining <= 0:
            return (b"", True) if must_fit else (b"".join(parts)[:max_bytes], True)
    return (parts[0] if len(parts) == 1 else b"".join(parts)), False


def _pieces(response: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """Yield the body in pieces of at most `most` bytes: chunks as the server made them, where it did."""
    if getattr(response, "chunked", False) and "Content-Encoding" not in response.headers:
        yield from response.read_chunked(most)  # Prometheus sends a large body as one chunk
        return
    while part := response.read(min(CHUNK, most), decode_content=True):
        yield part


def _proxies_for(session: requests.Session, url: str) -> dict[str, str]:
    """Return settings that bypass the proxy for hosts in `no_proxy` (requests only reads it from the environment)."""
    without = session.proxies.get("no_proxy") or session.proxies.get("no") or ""
    if without and requests.utils.should_bypass_proxies(url, without):
        return {"http": "", "https": ""}
    return {}
