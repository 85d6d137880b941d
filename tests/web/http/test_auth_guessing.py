"""Password guessing: back-off for the guesser only."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import bcrypt
import pytest

from bridge.web.http import auth
from bridge.web.http.auth import (
    FREE_OF_ADDRESS,
    FREE_OF_USER,
    LONGEST_WAIT,
    QUEUE,
    QUEUE_OF_ONE,
    BasicAuth,
    TooManyAttemptsError,
)
from bridge.web.http.settings import WebSettings
from bridge.web.http.web_config import WebConfig
from tests.support.processes import PATIENCE
from tests.support.web import Site, serving

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
USERS = {"ada": HASH, "bob": HASH}


def header(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class Clock:
    """Clock that advances on request."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Door:
    """Basic auth with users, without a server: each call returns True, False or the seconds to wait."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.auth = BasicAuth(self.clock)

    async def ask(self, user: str, password: str, address: str = "10.0.0.1") -> bool | int:
        try:
            return await self.auth.signed_in(header(user, password), USERS, address)
        except TooManyAttemptsError as error:
            return error.seconds

    def one(self, user: str, password: str, address: str = "10.0.0.1") -> bool | int:
        return asyncio.run(self.ask(user, password, address))


def test_after_some_wrong_passwords_each_has_to_wait_longer() -> None:
    """Up to a minute; refused attempts are not counted."""
    door, waits = Door(), []
    assert [door.one("ada", "x") for _ in range(FREE_OF_USER)] == [False] * FREE_OF_USER
    for _ in range(8):
        wait = door.one("ada", "x")
        assert door.one("ada", "x") == wait
        waits.append(wait)
        door.clock.now += wait
        assert door.one("ada", "x") is False
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_WAIT, LONGEST_WAIT]


def test_password_guessing_does_not_block_other_users() -> None:
    """Other users, other addresses and signed-in users are not affected."""
    door = Door()
    assert door.one("bob", "secret") is True
    for user in ("ada", "bob"):
        assert [door.one(user, "x") for _ in range(FREE_OF_USER)] == [False] * FREE_OF_USER
        assert door.one(user, "x") == 1
    assert door.one("bob", "secret") is True
    assert door.one("ada", "secret", "10.0.0.2") is True
    assert door.one("ada", "secret") == 1


def test_a_name_reveals_nothing_of_whether_there_is_such_a_user() -> None:
    """Unknown users have the same back-off."""
    door = Door()
    for user in ("ada", "nobody"):
        assert [door.one(user, "x") for _ in range(FREE_OF_USER + 1)] == [False] * FREE_OF_USER + [1]


def test_an_address_that_guesses_names_has_to_wait_as_a_whole() -> None:
    """Guessing costs CPU time; another address does not wait."""
    door = Door()
    assert [door.one(f"user{number}", "x") for number in range(FREE_OF_ADDRESS)] == [False] * FREE_OF_ADDRESS
    assert door.one("ada", "secret") == 1
    assert door.one("ada", "secret", "10.0.0.2") is True


@pytest.mark.parametrize(("first", "second", "same"), [
    ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True), ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
    ("::ffff:10.0.0.1", "10.0.0.1", True), ("10.0.0.1", "10.0.0.2", False), ("", "", True),
])  # fmt: skip
def test_a_machine_cannot_change_its_address_within_its_network(first: str, second: str, same: bool) -> None:
    """A host has 2^64 IPv6 addresses."""
    door = Door()
    for _ in range(FREE_OF_USER):
        door.one("ada", "x", first)
    assert (door.one("ada", "x", second) is not False) is same


def test_the_right_password_ends_the_count_and_so_does_time() -> None:
    door = Door()
    for forget in (lambda: door.one("ada", "secret"), lambda: setattr(door.clock, "now", door.clock.now + 601)):
        assert [door.one("ada", "x") for _ in range(FREE_OF_USER - 1)] == [False] * (FREE_OF_USER - 1)
        forget()
    assert [door.one("ada", "x") for _ in range(FREE_OF_USER)] == [False] * FREE_OF_USER


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auth, "_matches", lambda password, _: password == b"secret")
    door = Door()

    async def all_of_them() -> None:
        for number in range(6000):
            address = f"10.0.{number // 250}.{number % 250}"
            await door.ask("ada", "x", address)
            await door.ask("ada", "secret", f"{address}9")

    asyncio.run(all_of_them())
    assert len(door.auth._remembered) == 1000
    assert len(door.auth._failures._times) == 10_000


# ---------------------------------------------------------------- the queue


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Block all checks until the event is set."""
    go, real = threading.Event(), auth._matches

    def slow(password: bytes, hashed: str) -> bool:
        assert go.wait(300)
        return real(password, hashed)

    monkeypatch.setattr(auth, "_matches", slow)
    try:
        yield go
    finally:
        go.set()


async def together(go: threading.Event, door: Door, *calls: Callable[[], Awaitable[bool | int]]) -> list[bool | int]:
    """Run all calls at once; checks finish after every call waits or was refused."""
    tasks = [asyncio.ensure_future(call()) for call in calls]
    for _ in range(5):
        await asyncio.sleep(0)
    go.set()
    return list(await asyncio.gather(*tasks))


def test_the_same_password_is_computed_once_for_all_who_send_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A page sends several requests at once."""
    door = Door()
    with held(monkeypatch) as go:
        assert asyncio.run(together(go, door, *[lambda: door.ask("ada", "secret")] * 6)) == [True] * 6


def test_guesses_at_once_are_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is checked; another user of the same address is admitted."""
    door = Door()
    guesses = [lambda number=number: door.ask("bob", f"x{number}") for number in range(200)]
    with held(monkeypatch) as go:
        answers = asyncio.run(together(go, door, *guesses, lambda: door.ask("ada", "secret")))
    assert answers == [False, *[1] * 199, True]


def test_the_queue_is_bounded_for_one_address_and_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    door = Door()
    one = [lambda number=number: door.ask(f"user{number}", "x") for number in range(20)]
    many = [lambda number=number: door.ask("ada", "x", f"10.0.1.{number}") for number in range(20)]
    with held(monkeypatch) as go:
        answers = asyncio.run(together(go, door, *one, *many))
    assert answers[:20] == [False] * QUEUE_OF_ONE + [1] * (20 - QUEUE_OF_ONE)
    assert answers[20:].count(False) == QUEUE - QUEUE_OF_ONE


# ---------------------------------------------------------------- over a real server


def status(site: Site, user: str, password: str) -> tuple[int, dict[str, str]]:
    text = f"GET /-/healthy HTTP/1.1\nHost: 127.0.0.1\nAuthorization: {header(user, password)}\nConnection: close\n\n"
    return site.raw(text)[:2]


def test_200_wrong_passwords_keep_no_user_out() -> None:
    """Checked one by one, they would take 200 checks."""
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    users = WebConfig(basic_auth_users={"ada": hashed, "bob": hashed})
    with serving(WebSettings("127.0.0.1:0"), users) as site, ThreadPoolExecutor(50) as pool:
        guesses = [pool.submit(status, site, "bob", f"wrong{number}") for number in range(200)]
        began = time.monotonic()
        assert status(site, "ada", "secret")[0] == 200
        let_in = time.monotonic() - began
        answers = [guess.result() for guess in guesses]
        took = time.monotonic() - began
    refused = [headers for code, headers in answers if code == 429]
    print(f"let in after {let_in:.2f} s; {len(refused)} of 200 guesses were answered 429, all in {took:.1f} s")
    assert {code for code, _ in answers} == {401, 429}
    assert len(answers) - len(refused) <= FREE_OF_USER + took  # one more for each second, at most
    assert all(int(headers["retry-after"]) >= 1 for headers in refused)
    assert let_in < PATIENCE
