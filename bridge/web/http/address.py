"""Listen address of the web server: a check before the start, and the listener."""

from __future__ import annotations

import os

from bridge.domain.errors import BridgeError
from bridge.net.listener import BoundedListener, listen
from bridge.web.http.settings import WebSettings


class AddressInUseError(BridgeError):
    """Listen address in use, or not an address of this host."""


def bound(settings: WebSettings) -> BoundedListener:
    """Return a listener on the address of the settings. Raises AddressInUseError."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        is_errno = error.errno is not None and error.errno > 0  # else a name that does not resolve
        reason = os.strerror(error.errno or 0) if is_errno else error.strerror
        raise AddressInUseError(f"cannot listen on {settings.listen}: {reason}") from None


def require_free(settings: WebSettings) -> None:
    """Raise AddressInUseError if the address cannot be used, and leave it free otherwise."""
    bound(settings).close()
