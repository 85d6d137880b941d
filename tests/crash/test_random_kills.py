"""kill -9 of the real bridge at random moments while requests flow: none lost, none under a second id.

CRASH_SEED repeats a run, CRASH_KILLS (60) sets its length; both are printed. scripts/soak makes a long one. However
slow the machine is, rounds of kills are added until enough requests were sent and enough kills hit a ready bridge.
"""

from __future__ import annotations

import itertools
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from tests.support import coordinator as coordinators
from tests.support import flow as flows
from tests.support.bridge import REMOTE_WRITE, Bridge, Json, bridge, whole_second, write_script
from tests.support.crash import LAUNCHER, TIMEOUT, launched
from tests.support.flow import RULES, SECOND, Episode, Flow
from tests.support.keyed import HANG_UP, TAKE, TAKE_AND_HANG_UP, KeyedReceiver, Reply
from tests.support.processes import free_port, wait_until
from tests.support.receiver import Behaviour, Received
from tests.support.servers import Prometheus, prometheus

KILLS = int(os.environ.get("CRASH_KILLS", "60"))
UP = 1.2  # mean seconds from ready to kill


class Moody:
    """A receiver's mind: takes most, refuses some, and sometimes hangs up before or after it took a request."""

    MOODS: Sequence[tuple[Behaviour, float]] = (
        (TAKE, 60),
        (TAKE_AND_HANG_UP, 10),
        (HANG_UP, 10),
        (Reply(503), 12),
        (Reply(429, headers={"Retry-After": "1"}), 8),
    )

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def __call__(self, _: Received) -> Behaviour:
        moods, weights = [mood for mood, _ in self.MOODS], [weight for _, weight in self.MOODS]
        return self._rng.choices(moods, weights)[0]


@dataclass(frozen=True)
class Moment:
    """When a kill comes: `seconds` after the bridge is ready, or after its launch and maybe before it is ready."""

    when_ready: bool
    seconds: float


def moments(rng: random.Random, count: int, startup: float) -> list[Moment]:
    """Three of four when it is ready, however long that takes here; the others at any moment of a start."""
    patient = (rng.random() < 0.75 for _ in range(count))
    return [Moment(one, rng.uniform(0, 2 * UP) if one else rng.uniform(0.1, 1.1) * startup) for one in patient]


def pass_time(seconds: float) -> None:
    until = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= until, seconds + 5, "the next kill or start")


def timed_start(process: Bridge) -> float:
    """Start it, and return the seconds until it was ready."""
    began = time.monotonic()
    process.start()
    return time.monotonic() - began


def kill_again_and_again(process: Bridge, rng: random.Random, kills: int, startup: float) -> int:
    """Kill and restart at moments drawn beforehand; return how many kills hit a bridge that was not ready yet."""
    early = 0
    for moment in moments(rng, kills, startup):
        if moment.when_ready:
            process.wait_ready()
        pass_time(moment.seconds)
        assert process.program.running, f"it ended by itself\n{process.program.log[-3000:]}"
        early += not process.ready()
        process.kill()
        pass_time(0.0 if rng.random() < 0.7 else rng.uniform(0.1, 2.5))
        process.launch()
    return early


def settle(process: Bridge, script: Flow) -> None:
    """Let it run on until the script is over and everything is delivered."""
    process.wait_ready()
    for timing in RULES.values():
        process.wait_slot(script.ends, script.ends / 1000 - time.time() + 120, timing.group)
    wait_until(lambda: not process.pending(), 60, f"all deliveries; pending: {process.pending()}")
    found = process.requests()
    assert len({item["id"] for item in found}) == len(found)


def check_request(process: Bridge, episode: Episode, found: Json, seen: dict[str, list[int]]) -> None:
    """Sent when a slot of its episode was seen in time, else recorded as missed; late when its first slot was not."""
    slots = seen[RULES[episode.rule].group]
    told = f"{episode} is {found['state']}: {found}"
    assert (found["project"], found["pipeline"], found["version"], found["rule"]) == (*episode.model, episode.rule)
    if found["state"] == "missed":
        assert flows.unseen(slots, episode), told
        assert process.request(found["id"])["deliveries"] == [], told
    else:
        assert (found["state"], found["hold"], found["attempt"]) == ("closed", None, 1), told
        states = [(item["kind"], item["state"]) for item in process.request(found["id"])["deliveries"]]
        assert sorted(states) == [("firing", "delivered")] * 2 + [("resolved", "delivered")] * 2, told
    if found["late"]:
        assert episode.starts not in slots, told


def check_receiver(receiver: KeyedReceiver, sent: set[str]) -> None:
    """It took every request and its end, under these keys and no others, and no end before its beginning."""
    assert set(receiver.taken) == sent | {f"{request_id}-resolved" for request_id in sent}
    assert set(receiver.keys()) == set(receiver.taken)
    first: dict[str, int] = {}
    for index, post in enumerate(receiver.posts):
        if post.said in (TAKE, TAKE_AND_HANG_UP):
            first.setdefault(post.key, index)
    begun = {key: index for key, index in first.items() if not key.endswith("-resolved")}
    assert all(index < first[f"{key}-resolved"] for key, index in begun.items())


def prepared(source: Prometheus, rng: random.Random, kills: int, startup: float, *, in_turns: bool = True) -> Flow:
    """The script, written into Prometheus: it begins in a few seconds and lasts about as long as the kills do here."""
    script = flows.flow(rng, whole_second(10), round(kills * (startup + UP)) + 6, in_turns=in_turns)
    for rule, timing in RULES.items():
        write_script(source, script.samples(rule), timing.metric)
    return script


@dataclass
class Kills:
    """What was done so far. early: kills of a bridge that was not ready yet. expected: the episodes of all scripts."""

    count: int = 0
    early: int = 0
    expected: list[Episode] = field(default_factory=list)

    def __str__(self) -> str:
        return f"kills {self.count} ({self.early} before it was ready)"


def in_rounds(
    process: Bridge,
    source: Prometheus,
    rng: random.Random,
    kills: int,
    enough: Callable[[], bool],
    *,
    in_turns: bool = True,
) -> Kills:
    """Start the bridge, kill it `kills` times and settle; then further rounds of a quarter, each with its own script.

    They end when it is `enough` and half of `kills` have hit a ready bridge.
    """
    startup, done, now = timed_start(process), Kills(), kills
    while not done.count or done.count - done.early < kills / 2 or not enough():
        script = prepared(source, rng, now, startup, in_turns=in_turns)
        done.early += kill_again_and_again(process, rng, now, startup)
        done.count += now
        done.expected += script.expected()
        settle(process, script)
        now = max(3, kills // 4)
    return done


def sent_of(process: Bridge) -> list[str]:
    """Return the ids of the requests that were not missed."""
    return [item["id"] for item in process.requests() if item["state"] != "missed"]


def a_seed() -> int:
    seed = int(os.environ.get("CRASH_SEED") or random.randrange(2**32))
    print(f"CRASH_SEED={seed} CRASH_KILLS={KILLS}")
    return seed


@pytest.mark.timeout(KILLS * 30 + 600)
def test_killed_at_random_moments_every_episode_has_its_one_request(tmp_path: Path) -> None:
    """The expected episodes are known before the start; a receiver that drops repeated keys sees each once."""
    seed = a_seed()
    rng = random.Random(seed)
    began = time.monotonic()
    with (
        prometheus(flags=[REMOTE_WRITE]) as source,
        KeyedReceiver(Moody(random.Random(seed + 1))) as one,
        KeyedReceiver(Moody(random.Random(seed + 2))) as two,
    ):
        entries = [{"url": receiver.url, "timeout": TIMEOUT} for receiver in (one, two)]
        settings = {"command": LAUNCHER, "env": launched(tmp_path), "log_level": "debug"}
        with bridge(source.url, flows.rules(), {"webhook_configs": entries}, **settings) as process:  # type: ignore[arg-type]
            done = in_rounds(process, source, rng, KILLS, lambda: len(sent_of(process)) >= KILLS)
            found = {item["id"]: item for item in process.requests()}
            expected = {episode.id(): episode for episode in done.expected}
            seen = flows.seen(process.program.log)
            report(done, expected, found, (one, two), time.monotonic() - began)
            assert set(found) == set(expected)
            for request_id, episode in expected.items():
                check_request(process, episode, found[request_id], seen)
            for receiver in (one, two):
                check_receiver(receiver, set(sent_of(process)))


def report(
    done: Kills, expected: dict[str, Episode], found: dict[str, Json], receivers: Sequence[KeyedReceiver], took: float
) -> None:
    """The figures of a run, before they are judged."""
    states = Counter(item["state"] for item in found.values())
    posts = sum(len(receiver.posts) for receiver in receivers)
    taken = sum(receiver.taken.total() for receiver in receivers)
    repeats = taken - sum(len(receiver.taken) for receiver in receivers)
    late = sum(item["late"] for item in found.values())
    print(
        f"{done}, episodes {len(expected)}, requests {len(found)} "
        f"({dict(states)}, {late} late), lost {len(set(expected) - set(found))}, "
        f"second ids {len(set(found) - set(expected))}, posts {posts}, taken {taken}, "
        f"repeats of a key at the receivers {repeats}, {took:.0f} s"
    )


COOLDOWN = 4 * SECOND


@pytest.mark.timeout(KILLS * 30 + 600)
def test_killed_at_random_moments_a_pipeline_is_never_requested_twice_at_once(tmp_path: Path) -> None:
    """With the real coordinator, a cooldown and versions that breach together: held, released, asked again.

    Whatever is killed: one first attempt for every episode, later ones numbered without a gap, each id run once, and
    between two retrainings of a pipeline the whole cooldown.
    """
    rng, kills, port = random.Random(a_seed()), max(3, KILLS // 3), free_port()
    entry = {"url": f"http://127.0.0.1:{port}", "timeout": TIMEOUT}
    settings = {"command": LAUNCHER, "env": launched(tmp_path), "log_level": "debug"}
    with (
        prometheus(flags=[REMOTE_WRITE]) as source,
        bridge(
            source.url,
            flows.rules(f"{COOLDOWN}ms"),
            {"coordinator_configs": [entry]},
            **settings,  # type: ignore[arg-type]
        ) as process,
    ):
        command = ["sh", "-c", f"echo $RETRAIN_REQUEST_ID >> {tmp_path}/runs"]
        with coordinators.process(
            tmp_path / "coordinator", listen=f"127.0.0.1:{port}", command=command, bridge_url=process.url
        ):
            done = in_rounds(process, source, rng, kills, lambda: len(sent_of(process)) >= kills, in_turns=False)
            wait_until(lambda: not in_flight(process), 30, "the coordinator's last word")
        found = process.requests()
        runs = (tmp_path / "runs").read_text().split()
        states = dict(Counter(item["state"] for item in found))
        late = sum(item["late"] for item in found)
        print(f"{done}, requests {len(found)} ({states}, {late} late), runs {len(runs)}")
        check_attempts(done.expected, found, flows.seen(process.program.log))
        assert sorted(runs) == sorted(item["id"] for item in found if item["sent_at"])
        check_cooldown(found)
        assert states["succeeded"] == len(runs)


def in_flight(process: Bridge) -> list[Json]:
    return [item for item in process.requests() if item["state"] in {"requested", "accepted", "running", "held"}]


def check_attempts(expected: Sequence[Episode], found: Sequence[Json], seen: dict[str, list[int]]) -> None:
    """Every episode has a first attempt and nobody else has one; the ids are those of their numbers."""
    by_id = {item["id"]: item for item in found}
    known = set[str]()
    for episode in expected:
        assert episode.id() in by_id, f"{episode} was lost"
        numbers = itertools.takewhile(lambda number: episode.id(number) in by_id, itertools.count(1))  # noqa: B023 - used at once
        known.update(episode.id(number) for number in numbers)
        if by_id[episode.id()]["state"] == "missed":
            assert flows.unseen(seen[RULES[episode.rule].group], episode)
    assert known == set(by_id)


def check_cooldown(found: Sequence[Json]) -> None:
    """The requests of a pipeline that were sent, in order: each begins a cooldown after the end of the one before."""
    pipelines: dict[str, list[Json]] = {}
    for item in found:
        if item["sent_at"]:
            pipelines.setdefault(item["pipeline"], []).append(item)
    for sent in pipelines.values():
        sent.sort(key=lambda item: str(item["sent_at"]))
        for before, after in itertools.pairwise(sent):
            pause = datetime.fromisoformat(after["sent_at"]) - datetime.fromisoformat(before["ended_at"])
            assert pause.total_seconds() * 1000 >= COOLDOWN, (before, after)
