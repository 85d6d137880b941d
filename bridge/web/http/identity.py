"""Identity of the caller and of the call, recorded with every operator action."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import Header, Request

from bridge.net.problem import ProblemError

IDEMPOTENCY_KEY = "Idempotency-Key"
FORWARDED_BY = "x-retrain-bridge-forwarded"  # header of requests that a standby forwards
LONGEST_KEY = 200
_MEANING = "Name of this call. A repeat with the same key changes nothing, and returns the request as it is now."
Key = Annotated[str, Header(alias=IDEMPOTENCY_KEY, max_length=LONGEST_KEY, description=_MEANING)]


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


def call_key(request: Request) -> str:
    """Return the idempotency key of a call, "" without one. Raises ProblemError for one that is too long."""
    key = request.headers.get(IDEMPOTENCY_KEY, "")
    if len(key) > LONGEST_KEY:
        raise ProblemError(400, f"{IDEMPOTENCY_KEY}: at most {LONGEST_KEY} characters")
    return key
