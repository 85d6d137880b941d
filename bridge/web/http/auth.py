"""Basic auth against bcrypt hashes. Whoever guesses passwords waits, and keeps nobody else waiting."""

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

BCRYPT_MAX = 72  # bytes of a password that count; the rest never did
QUEUE, QUEUE_OF_ONE = 16, 4  # checks that run or wait: of all addresses, of one
FREE_OF_USER, FREE_OF_ADDRESS = 5, 50  # wrong passwords before the first wait
LONGEST_WAIT = 60.0  # seconds
_FORGOTTEN_AFTER = 600.0
_KNOWN_MOST, _FAILED_MOST = 1000, 10_000


class TooManyAttempts(Exception):  # noqa: N818 - reads as what it says
    """A password is not looked at now. seconds: when to ask again."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = max(1, math.ceil(seconds))


@dataclass(slots=True)
class _Check:
    digest: bytes
    right: asyncio.Future[bool]


class BasicAuth:
    """Checks the Authorization header. now: monotonic seconds.

    What was right is remembered by a keyed digest, for the address that it came from. What was wrong is counted for
    that address and user name, whether or not there is such a user.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._key = secrets.token_bytes(32)
        self._known: dict[bytes, None] = {}
        self._checks: dict[tuple[str, str], _Check] = {}
        self._failures = _Failures(now)
        self._one: CapacityLimiter | None = None

    async def signed_in(self, header: str, users: Mapping[str, str], address: str) -> bool:
        """Return whether `header` names a user of `users` (name -> hash) with the right password. TooManyAttempts."""
        given = _credentials(header)
        if given is None:
            return False
        user, password = given
        # An unknown user costs as much as a wrong password: the time taken does not tell which names exist.
        hashed = users.get(user) or next(iter(users.values()))
        place = _place(address)
        digest = self._digest(place, user, hashed, password)
        known = user in users
        if known and digest in self._known:
            return True
        return await self._check((place, user), digest, password, hashed, known)

    async def _check(self, who: tuple[str, str], digest: bytes, password: bytes, hashed: str, known: bool) -> bool:
        check = self._checks.get(who)
        if check is None:
            self._admit(who)
            right = asyncio.ensure_future(self._compute(who, digest, password, hashed, known))
            check = self._checks[who] = _Check(digest, right)
        elif check.digest != digest:
            raise TooManyAttempts(1)
        return await asyncio.shield(check.right)  # shared: a page sends the same password several times at once

    def _admit(self, who: tuple[str, str]) -> None:
        wait = max(self._failures.wait(who, FREE_OF_USER), self._failures.wait(who[:1], FREE_OF_ADDRESS))
        same = sum(place == who[0] for place, _ in self._checks)
        if wait > 0 or len(self._checks) >= QUEUE or same >= QUEUE_OF_ONE:
            raise TooManyAttempts(wait)

    async def _compute(self, who: tuple[str, str], digest: bytes, password: bytes, hashed: str, known: bool) -> bool:
        """In a thread, one at a time: who guesses passwords stops neither the loop nor the other handlers."""
        if self._one is None:
            self._one = CapacityLimiter(1)
        try:
            right = await to_thread.run_sync(_matches, password, hashed, limiter=self._one) and known
        finally:
            del self._checks[who]
        if right:
            self._failures.forget(who)
            self._known[digest] = None
            if len(self._known) > _KNOWN_MOST:
                del self._known[next(iter(self._known))]
        else:
            self._failures.add(who)
            self._failures.add(who[:1])
        return right

    def _digest(self, place: str, user: str, hashed: str, password: bytes) -> bytes:
        """Of all that a check depends on: a changed hash in the file forgets the old password."""
        parts = (place.encode(), user.encode(), hashed.encode(), password)
        text = b"".join(b"%d:" % len(part) + part for part in parts)
        return hmac.new(self._key, text, hashlib.sha256).digest()


class _Failures:
    """Wrong passwords by who sent them, for ten minutes after the last."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._times: dict[tuple[str, ...], tuple[int, float]] = {}

    def wait(self, who: tuple[str, ...], free: int) -> float:
        """Return the seconds until the next attempt: none for `free` failures, then doubled with each."""
        times, last = self._times.get(who, (0, 0.0))
        if times < free:
            return 0.0
        return last + min(LONGEST_WAIT, 2.0 ** min(times - free, 10)) - self._now()

    def add(self, who: tuple[str, ...]) -> None:
        """Count one more; the order is that of the last failure."""
        now = self._now()
        times, last = self._times.pop(who, (0, now))
        self._times[who] = (times + 1 if now - last < _FORGOTTEN_AFTER else 1, now)
        if len(self._times) > _FAILED_MOST:
            del self._times[next(iter(self._times))]

    def forget(self, who: tuple[str, ...]) -> None:
        """Start anew, after the right password."""
        self._times.pop(who, None)


def _place(address: str) -> str:
    """The address that failures are counted for: of IPv6 the network, for one machine has all of its addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    if not isinstance(found, IPv6Address):
        return address
    return str(found.ipv4_mapped or found.packed[:8].hex())


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
    except ValueError:  # a hash that only looks like one
        return False
