"""Check of the Host header against DNS rebinding: a web page could point its own name at the server's address."""

from __future__ import annotations

import functools
import socket
import threading
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

FLAG = "--web.allowed-host"
EVERY_HOST = frozenset({"/-/healthy", "/-/ready", "/metrics"})  # paths served under any name


class Hosts:
    """Allowed host names: `names`, localhost and this machine's own. IP addresses always pass: DNS is not involved."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {_plain(name) for name in names} - {""}
        _own_names()

    def allows(self, host: str) -> bool:
        """Return whether a request with this Host header may be served."""
        name = host_of(f"//{host}")
        return name == "" or _is_address(name) or name in self._names or name in _own_names()


def refused(host: str, also: str = "") -> str:
    """Return the error message for a client with an unknown Host header. also: another flag that would allow it."""
    return f"the host name {host[:255]!r} is not served here; allow it with {FLAG}{also}"


def check_name(name: str) -> str:
    """Return the name. Raises ValueError unless it is a bare host name."""
    if not name or host_of(f"//{name}") != _plain(name):
        raise ValueError(f"{name!r} is not a host name; omit scheme and port, for example bridge.example.org")
    return name


def host_of(url: str) -> str:
    """Return the host of a URL, lower-case; "" when it has none, "?" when it is not a URL."""
    try:
        return _plain(urlsplit(url).hostname or "")
    except ValueError:
        return "?"


def is_http_url(text: str) -> bool:
    """Return whether a text is an http or https URL with a host, and without a port that cannot be used."""
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Return whether a name or address is loopback; "" stands for every address, and is not."""
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return host.rstrip(".").lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


@functools.cache
def _own_names() -> set[str]:
    names = {"localhost", _plain(socket.gethostname())} - {""}
    # In a thread: a name server that does not respond must not delay the start.
    threading.Thread(target=lambda: names.add(_plain(socket.getfqdn())), name="own-name", daemon=True).start()
    return names


def _plain(name: str) -> str:
    return name.lower().rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
