"""Signed messages by the Standard Webhooks specification (standardwebhooks.com), version v1: HMAC-SHA256."""

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
    """A message is not signed as it must be. reason: closed word."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def check_secret(text: str) -> bytes:
    """The key of a secret; ValueError says what a secret looks like, never what it is."""
    wanted = f"a signing secret is {PREFIX} followed by base64 of 24 to 64 random bytes"
    if not text.startswith(PREFIX):
        raise ValueError(wanted)
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(wanted) from None
    if not 24 <= len(key) <= 64:
        raise ValueError(f"{wanted}; this one has {len(key)}")
    return key


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The webhook-signature header: one signature for each secret. timestamp: of the attempt, in seconds."""
    return " ".join(f"v1,{_digest(check_secret(secret), message_id, str(timestamp), body)}" for secret in secrets)


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: Timestamp) -> None:
    """Return when a signature matches a secret and is at most five minutes old or early; else SignatureError."""
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
    wanted = [_digest(check_secret(secret), message_id, stamp, body) for secret in secrets]
    found = [text.removeprefix("v1,") for text in signatures if text.startswith("v1,")]
    # Every pair is compared, each in constant time: the time taken tells nothing.
    matches = [hmac.compare_digest(own.encode(), their.encode()) for own in wanted for their in found]
    if not any(matches):
        raise SignatureError("mismatch", "no signature matches a configured secret")


def _digest(key: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    signed = b".".join((message_id.encode(), timestamp.encode(), body))
    return base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
