"""Listen address of the web server."""

from __future__ import annotations

import socket

import pytest

from bridge.web.http.address import AddressInUseError, bound, require_free
from bridge.web.http.settings import WebSettings


def test_an_address_in_use_is_reported_until_it_is_free() -> None:
    """The check itself does not keep the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = WebSettings(f"127.0.0.1:{taken.getsockname()[1]}")
        for use in (require_free, bound):
            with pytest.raises(
                AddressInUseError, match=f"^cannot listen on {settings.listen}: Address already in use$"
            ):
                use(settings)
    require_free(settings)
    bound(settings).close()
