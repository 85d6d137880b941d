"""Somebody who guesses passwords as fast as they can, against the real bridge beside a real Prometheus."""

from __future__ import annotations

import base64
import http.client
import threading
import time
from collections import Counter
from pathlib import Path

import bcrypt

from tests.support.bridge import REMOTE_WRITE, bridge, drift_rules, steps, whole_second, write_script
from tests.support.keyed import KeyedReceiver
from tests.support.processes import PATIENCE, wait_until
from tests.support.servers import prometheus

MODEL = ("shop", "ranking", "7")
LIMIT = PATIENCE  # seconds: the guesses never end


def status(address: str, user: str, password: str, source: str = "127.0.0.1") -> int:
    """Of GET /-/healthy, asked from a loopback address; 0 when there was no answer."""
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    host, _, port = address.partition(":")
    client = http.client.HTTPConnection(host, int(port), timeout=300, source_address=(source, 0))
    try:
        client.request("GET", "/-/healthy", headers={"Authorization": f"Basic {credentials}"})
        return client.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        client.close()


class Guessing:
    """Five threads that send one wrong password after the other, for existing and other users."""

    def __init__(self, address: str) -> None:
        self.answers: Counter[int] = Counter()
        self._address, self._over = address, threading.Event()
        self._threads = [threading.Thread(target=self._guess, args=(number,)) for number in range(5)]

    def __enter__(self) -> Guessing:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(300)

    def _guess(self, number: int) -> None:
        user = "bob" if number % 2 else f"user{number}"
        for guess in range(1_000_000):
            answer = status(self._address, user, f"wrong {number} {guess}")
            self.answers[answer] += 1
            if self._over.is_set() or not answer:  # it has ended
                return


def test_a_bridge_continues_while_passwords_are_guessed(tmp_path: Path) -> None:
    """A user at another address is let in, a breached model is asked for, SIGTERM ends it, the log stays small."""
    hashed = bcrypt.hashpw(b"secret", bcrypt.gensalt(10)).decode()
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users:\n  ada: {hashed}\n  bob: {hashed}\n")
    with prometheus(flags=[REMOTE_WRITE]) as source, KeyedReceiver() as receiver:
        hook = {"webhook_configs": [{"url": f"{receiver.url}/hook"}]}
        with bridge(source.url, drift_rules(), hook, flags=[f"--web.config.file={web}"]) as process:
            process.launch()
            process.program.wait_ready(lambda: status(process.listen, "", "") == 401, 60)
            quiet = len(process.program.log)
            with Guessing(process.listen) as guessing:
                wait_until(lambda: guessing.answers[429] >= 200, 60, "200 refused guesses")
                began = time.monotonic()
                assert status(process.listen, "ada", "secret", "127.0.0.2") == 200
                let_in = time.monotonic() - began
                begins = whole_second()
                write_script(source, {MODEL: steps(begins, begins + 600_000, [(begins, begins + 600_000)])})
                began = time.monotonic()
                wait_until(lambda: receiver.taken, 60, "the delivery")
                delivered = time.monotonic() - began
                grown = len(process.program.log) - quiet
                began = time.monotonic()
                assert process.program.terminate(60) == 0
                ended = time.monotonic() - began
    print(
        f"answers {dict(guessing.answers)}: let in after {let_in:.2f} s, delivered in {delivered:.1f} s, "
        f"SIGTERM {ended:.1f} s, log +{grown} bytes"
    )
    assert max(let_in, delivered, ended) < LIMIT
    assert grown < 20_000
