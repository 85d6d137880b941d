"""Identity of the caller, recorded with every operator action."""

from __future__ import annotations

import base64
import binascii

from fastapi import Request


def signed_in(request: Request) -> str:
    """Return the authenticated user; "" if the server has no users."""
    kind, _, credentials = request.headers.get("authorization", "").partition(" ")
    if kind.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials.strip(), validate=True).decode().partition(":")[0]
    except (binascii.Error, UnicodeDecodeError):
        return ""


def who(request: Request, claimed: str) -> str:
    """Return the authenticated user, else the name that the caller claims, else its address."""
    return signed_in(request) or claimed or (request.client.host if request.client is not None else "unknown")
