"""Who asks: recorded with everything that people do."""

from __future__ import annotations

import base64
import binascii

from fastapi import Request


def signed_in(request: Request) -> str:
    """The user that the guard let in; "" when the server has no users of its own."""
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def who(request: Request, said: str) -> str:
    """The user that signed in; else who the caller says it is, else its address."""
    return signed_in(request) or said or (request.client.host if request.client is not None else "unknown")
