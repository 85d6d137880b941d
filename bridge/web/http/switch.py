"""Server's application, which changes while the server runs."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class Switch:
    """ASGI application that passes every request to the present application."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        await self.app(scope, receive, send)
