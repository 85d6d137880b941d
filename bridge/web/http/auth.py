"""Basic auth against bcrypt hashes, with back-off: password guessing delays only the guesser."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import math
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

import bcrypt
from anyio import CapacityLimiter, to_thread

BCRYPT_MAX = 72  # bytes; bcrypt ignores the rest of a password
QUEUE, QUEUE_OF_ONE = 16, 4  # pending checks: in total, and of one address
FREE_OF_USER, FREE_OF_ADDRESS = 5, 50  # wrong passwords before the first back-off
LONGEST_WAIT = 60.0  # seconds
_FORGET_AFTER = 600.0  # seconds
_MAX_REMEMBERED, _MAX_FAILED = 1000, 10_000  # entries


class TooManyAttemptsError(Exception):
    """Password not checked because of back-off or a full queue. seconds: delay until the next attempt."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = max(1, math.ceil(seconds))


@dataclass(slots=True)
class _Check:
    digest: bytes
    right: asyncio.Future[bool]


class BasicAuth:
    """Check of the Authorization header. now: returns monotonic seconds.

    A correct password is remembered for its address, as a keyed digest. Wrong passwords are counted for each address
    and user name, whether or not the user exists.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._remembered: dict[bytes, None] = {}
        self._checks: dict[tuple[str, str], _Check] = {}
        self._failures = _Failures(now)
        self._one: CapacityLimiter | None = None

    async def signed_in(self, header: str, users: Mapping[str, str], address: str) -> bool:
        """Return whether `header` has one of `users` (name -> hash) and its password. Raises TooManyAttemptsError."""
        credentials = _credentials(header)
        if credentials is None:
            return False
        user, password = credentials
        # An unknown user takes as long as a wrong password, so that timing does not reveal which users exist.
        hashed = users.get(user) or next(iter(users.values()))
        source = _source(address)
        digest = self._digest(source, user, hashed, password)
        exists = user in users
        if exists and digest in self._remembered:
            return True
        return await self._check((source, user), digest, password, hashed, exists)

    async def _check(self, who: tuple[str, str], digest: bytes, password: bytes, hashed: str, exists: bool) -> bool:
        check = self._checks.get(who)
        if check is None:
            self._admit(who)
            right = asyncio.ensure_future(self._compute(who, digest, password, hashed, exists))
            check = self._checks[who] = _Check(digest, right)
        elif check.digest != digest:
            raise TooManyAttemptsError(1)
        return await asyncio.shield(check.right)  # shared: a page sends several requests at once

    def _admit(self, who: tuple[str, str]) -> None:
        wait = max(self._failures.wait(who, FREE_OF_USER), self._failures.wait(who[:1], FREE_OF_ADDRESS))
        same = len([source for source, _ in self._checks if source == who[0]])
        if wait > 0 or len(self._checks) >= QUEUE or same >= QUEUE_OF_ONE:
            raise TooManyAttemptsError(wait)

    async def _compute(self, who: tuple[str, str], digest: bytes, password: bytes, hashed: str, exists: bool) -> bool:
        """Compare the password in a thread, one at a time, so that guessing blocks neither the loop nor handlers."""
        if self._one is None:
            self._one = CapacityLimiter(1)
        try:
            right = await to_thread.run_sync(_matches, password, hashed, limiter=self._one) and exists
        finally:
            del self._checks[who]
        if right:
            self._failures.forget(who)
            self._remembered[digest] = None
            if len(self._remembered) > _MAX_REMEMBERED:
                del self._remembered[next(iter(self._remembered))]
        else:
            self._failures.add(who)
            self._failures.add(who[:1])
        return right

    def _digest(self, source: str, user: str, hashed: str, password: bytes) -> bytes:
        """Return a digest of every input of a check, so that a new hash in the file invalidates the old password."""
        parts = (source.encode(), user.encode(), hashed.encode(), password)
        text = b"".join(b"%d:" % len(part) + part for part in parts)
        return hmac.new(self._key, text, hashlib.sha256).digest()


class _Failures:
    """Count of wrong passwords by address, and by address and user; reset ten minutes after the last."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: dict[tuple[str, ...], tuple[int, float]] = {}

    def wait(self, who: tuple[str, ...], free: int) -> float:
        """Return the seconds until the next attempt: 0 for the first `free` failures, then doubled with each."""
        times, last = self._times.get(who, (0, 0.0))
        if times < free:
            return 0.0
        return last + min(LONGEST_WAIT, 2.0 ** min(times - free, 10)) - self._now()

    def add(self, who: tuple[str, ...]) -> None:
        """Count one more failure; entries stay in the order of their last failure."""
        now = self._now()
        times, last = self._times.pop(who, (0, now))
        self._times[who] = (times + 1 if now - last < _FORGET_AFTER else 1, now)
        if len(self._times) > _MAX_FAILED:
            del self._times[next(iter(self._times))]

    def forget(self, who: tuple[str, ...]) -> None:
        """Reset the count, after a correct password."""
        self._times.pop(who, None)


def _source(address: str) -> str:
    """Return the key to count failures by: the address, or the /64 network for IPv6, all of which one host may own."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return address
    return str(parsed.ipv4_mapped or parsed.packed[:8].hex())


def _credentials(header: str) -> tuple[str, bytes] | None:
    scheme, _, value = header.strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(value.strip(), validate=True).partition(b":")
        return (user.decode(), password[:BCRYPT_MAX]) if colon else None
    except (binascii.Error, ValueError):
        return None


def _matches(password: bytes, hashed: str) -> bool:
    try:
        return bcrypt.checkpw(password, hashed.encode())
    except ValueError:  # well-formed, but not a valid hash
        return False
