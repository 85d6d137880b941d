"""Signatures by the Standard Webhooks specification (standardwebhooks.com), version v1: HMAC-SHA256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping, Sequence

from bridge.domain.times import MINUTE, Duration, Timestamp

PREFIX = "whsec_"
TOLERANCE: Duration = 5 * MINUTE


class SignatureError(Exception):
    """Invalid signature. reason: missing | timestamp | mismatch."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_secret(text: str) -> bytes:
    """Return the key of a secret. Raises ValueError, whose message describes the format and never shows the secret."""
    expected = f"a signing secret is {PREFIX} followed by base64 of 24 to 64 random bytes"
    if not text.startswith(PREFIX):
        raise ValueError(expected)
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(expected) from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"{expected}; this one has {len(key)}")
    return key


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the webhook-signature header: one signature per secret. timestamp: of the attempt, in seconds."""
    return " ".join(f"v1,{_digest(check_secret(secret), message_id, str(timestamp), body)}" for secret in secrets)


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: Timestamp) -> None:
    """Check that a signature matches a secret and its timestamp is within five minutes of `now`.

    Raises SignatureError.
    """
    given = {key.lower(): value for key, value in headers.items()}
    try:
        message_id, stamp = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
    except KeyError as missing:
        raise SignatureError("missing", f"header {missing.args[0]} is missing") from None
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 15):
        raise SignatureError("timestamp", "webhook-timestamp is not a number of seconds")
    if abs(int(stamp) * 1000 - now) > TOLERANCE:
        raise SignatureError("timestamp", "webhook-timestamp is more than 5 minutes away from now")
    expected = [_digest(check_secret(secret), message_id, stamp, body) for secret in secrets]
    received = [text.removeprefix("v1,") for text in signatures if text.startswith("v1,")]
    # All pairs are compared, each in constant time, so that timing reveals nothing.
    matches = [hmac.compare_digest(own.encode(), their.encode()) for own in expected for their in received]
    if not any(matches):
        raise SignatureError("mismatch", "no signature matches a configured secret")


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
