"""Basic auth against bcrypt hashes."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Mapping

import bcrypt
from anyio import CapacityLimiter, to_thread

BCRYPT_MAX = 72  # bytes of a password that count; the rest never did


class BasicAuth:
    """Checks the Authorization header. What was right once is remembered by a keyed digest, what was wrong is not."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._known: set[bytes] = set()
        self._one: CapacityLimiter | None = None

    async def signed_in(self, header: str, users: Mapping[str, str]) -> bool:
        """Whether `header` names a user of `users` (name -> hash) with the right password."""
        given = _credentials(header)
        if given is None:
            return False
        user, password = given
        # An unknown user costs as much as a wrong password: the time taken does not tell which names exist.
        hashed = users.get(user) or next(iter(users.values()))
        digest = self._digest(user, hashed, password)
        right = digest in self._known or await self._check(password, hashed)
        if right and user in users:
            self._known.add(digest)
            return True
        return False

    async def _check(self, password: bytes, hashed: str) -> bool:
        """In a thread, one at a time: who guesses passwords stops neither the loop nor the other handlers."""
        if self._one is None:
            self._one = CapacityLimiter(1)
        return await to_thread.run_sync(_matches, password, hashed, limiter=self._one)

    def _digest(self, user: str, hashed: str, password: bytes) -> bytes:
        """Of all that a check depends on: a changed hash in the file forgets the old password."""
        parts = (user.encode(), hashed.encode(), password)
        text = b"".join(b"%d:" % len(part) + part for part in parts)
        return hmac.new(self._key, text, hashlib.sha256).digest()


def _credentials(header: str) -> tuple[str, bytes] | None:
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, ValueError):
        return None


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password[:BCRYPT_MAX], hashed.encode())
    except ValueError:  # a hash that only looks like one
        return False
