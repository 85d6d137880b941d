"""A receiver that honours Idempotency-Key, takes or refuses as told, and remembers every post with its time."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.receiver import HANG, HANG_UP, Behaviour, Received, Receiver, Reply

TAKE = "take"  # do it, once per key, and answer 202
TAKE_AND_HANG_UP = "take and hang up"  # do it, and close without an answer
Choice = Callable[[Received], Behaviour]


@dataclass(frozen=True)
class Post:
    """A POST as it came in. at: seconds, monotonic. said: what was made of it."""

    key: str
    at: float
    said: Behaviour
    request: Received = field(repr=False)


class KeyedReceiver(Receiver):
    """`choose` says what to do with each POST: TAKE, TAKE_AND_HANG_UP, HANG, HANG_UP or a Reply that refuses.

    posts: all of them. taken: key -> how often it was taken; it is carried out the first time, the rest are repeats.
    status: what GET says of a key, as a coordinator; of others it knows nothing.
    """

    def __init__(self, choose: Choice = lambda _: TAKE) -> None:
        self.choose = choose
        self.posts: list[Post] = []
        self.taken: Counter[str] = Counter()
        self.status: dict[str, dict[str, str]] = {}
        super().__init__()

    def keys(self) -> list[str]:
        """The keys of all posts, in order of arrival."""
        return [post.key for post in self.posts]

    def _take(self, request: Received) -> Behaviour:
        if request.method != "POST":
            key = request.path.rsplit("/", 1)[-1]
            return _json(200, {"id": key, **self.status[key]}) if key in self.status else Reply(404)
        with self._lock:
            said = self.choose(request)
            key = request.headers.get("idempotency-key", "")
            self.requests.append(request)
            self.posts.append(Post(key, time.monotonic(), said, request))
            if said in (TAKE, TAKE_AND_HANG_UP):
                self.taken[key] += 1
        if said == TAKE:
            return _json(202, {"id": key, "reference": f"run-{key[:8]}", "state": "accepted"})
        return HANG_UP if said == TAKE_AND_HANG_UP else said


def _json(status: int, answer: dict[str, str]) -> Reply:
    return Reply(status, json.dumps(answer).encode(), {"Content-Type": "application/json"})


__all__ = ["HANG", "HANG_UP", "TAKE", "TAKE_AND_HANG_UP", "KeyedReceiver", "Post", "Reply"]
