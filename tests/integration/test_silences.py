"""Silences of a real Alertmanager, made and ended with its own tool."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import HOUR
from bridge.ports import SilenceSnapshot
from bridge.ports.silencing import NewSilence, SilencingError, UnknownSilenceError
from bridge.sources.alertmanager_silences import AlertmanagerSilences, SilenceTarget
from tests.support.servers import Alertmanager, alertmanager

RANKING = {"alertname": "ModelRetrainRequested", "project": "shop", "pipeline": "ranking"}


def now() -> int:
    return time.time_ns() // 1_000_000


def amtool(server: Alertmanager, *arguments: str) -> str:
    command = ["amtool", "silence", f"--alertmanager.url={server.url}", *arguments]
    env = {**os.environ, "HOME": str(server.folder)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def add(server: Alertmanager, *matchers: str, options: tuple[str, ...] = ("--duration=1h",)) -> str:
    """The id of a new silence."""
    return amtool(server, "add", "--author=ops", "--comment=planned work", *options, *matchers)


def covering(snapshot: SilenceSnapshot, labels: dict[str, str], at: int) -> list[Silence]:
    return [silence for silence in snapshot.silences if silence.silences(labels, at)]


def test_a_silence_covers_from_when_it_is_made_until_it_is_ended() -> None:
    """Everything that it says is read; the moment it is expired it covers nothing."""
    with alertmanager() as server, closing(AlertmanagerSilences([SilenceTarget(server.url)], Path())) as silences:
        assert silences.fetch(now()).silences == ()
        before = now()
        made = add(server, "project=shop", 'pipeline=~"rank.*"', "env!=dev", 'team!~"a|b"')
        (silence,) = covering(silences.fetch(now()), RANKING, now())
        assert (silence.id, silence.created_by, silence.comment) == (made, "ops", "planned work")
        assert {str(matcher) for matcher in silence.matchers} == {
            'project="shop"', 'pipeline=~"rank.*"', 'env!="dev"', 'team!~"a|b"'
        }  # fmt: skip
        assert before - 1 <= silence.starts_at <= now()
        assert before - 1 <= silence.ends_at - HOUR <= now()
        assert covering(silences.snapshot(), RANKING | {"env": "dev"}, now()) == []
        amtool(server, "expire", made)
        assert covering(silences.fetch(now()), RANKING, now()) == []
        assert silences.snapshot().silences[0].id == made
        assert not any(silence.unclear for silence in silences.snapshot().silences)


def test_a_silence_is_created_as_amtool_would() -> None:
    """It covers at once; what Alertmanager refuses is said, and one that is away too."""
    with alertmanager() as server, closing(AlertmanagerSilences([SilenceTarget(server.url)], Path())) as silences:
        (address,) = silences.addresses()
        labels = {"project": "shop", "pipeline": 'ran"king\\'}
        made = silences.create(address, NewSilence(labels, now(), now() + HOUR, "kim", "release"))
        assert made in amtool(server, "query")
        (silence,) = covering(silences.fetch(now()), {**RANKING, **labels}, now())
        assert (silence.id, silence.created_by, silence.comment) == (made, "kim", "release")
        silences.expire(made)
        assert covering(silences.fetch(now()), {**RANKING, **labels}, now()) == []
        for unknown in ("00000000-0000-0000-0000-000000000000", "abc", "a/b"):
            with pytest.raises(UnknownSilenceError, match=f"has no silence '{unknown}'"):
                silences.expire(unknown)
        with pytest.raises(SilencingError, match="answered HTTP 4"):
            silences.create(address, NewSilence({}, now(), now() + HOUR, "kim", "release"))
        with pytest.raises(SilencingError, match="is not an Alertmanager"):
            silences.create("http://elsewhere", NewSilence(labels, now(), now() + HOUR, "kim", "x"))
    with pytest.raises(SilencingError, match="did not answer"):
        silences.expire(made)
    with pytest.raises(SilencingError, match="did not answer"):
        silences.create(address, NewSilence(labels, now(), now() + HOUR, "kim", "x"))


def test_a_silence_that_is_still_to_come_covers_then() -> None:
    """Nobody has to fetch it again at its start."""
    options = ("--start=2100-01-01T00:00:00Z", "--end=2100-01-02T00:00:00Z")
    with alertmanager() as server, closing(AlertmanagerSilences([SilenceTarget(server.url)], Path())) as silences:
        add(server, "project=shop", options=options)
        snapshot = silences.fetch(now())
        assert covering(snapshot, RANKING, now()) == []
        starts = 4_102_444_800_000
        assert [len(covering(snapshot, RANKING, starts + offset)) for offset in (-1, 0, 24 * HOUR)] == [0, 1, 0]


def test_silences_of_two_alertmanagers_count_and_one_may_be_down() -> None:
    """They need not be members of one cluster."""
    with alertmanager() as first, alertmanager() as second:
        add(first, "project=shop")
        add(second, "project=search")
        targets = [SilenceTarget(server.url) for server in (first, second)]
        with closing(AlertmanagerSilences(targets, Path())) as silences:
            both = silences.fetch(now())
            assert {str(silence.matchers[0]) for silence in both.silences} == {'project="shop"', 'project="search"'}
            first.kill()
            left = silences.fetch(now())
            assert [silence.matchers for silence in left.silences] == [(Matcher("project", "=", "search"),)]
            assert silences.failing() == {first.url: "network"}


def test_what_alertmanager_silences_is_what_the_bridge_holds_silenced() -> None:
    """The alert of a request, as Alertmanager itself judges it: same matchers, same answer."""
    tables = [
        ("project=shop",), ("project=sho",), ("project=~sho",), ("project=~sh.*", "missing="), ("missing!=",),
        ("project!=shop",), ("project!~s.*",), ("missing!~x", "pipeline=ranking"), ("project=shop", "team=~|ranking"),
        ('project=~"[[:alpha:]]+"',), (r'project=~"\\pL{4}"',), (r'project=~"shop\\z"',), ('project=~"(?i)SHOP"',),
        ('project=~"[[:digit:]]+"',), (r'project=~"\\PL+"',), ('project=~"((.+)+)+z"',),
    ]  # fmt: skip
    with alertmanager() as server, closing(AlertmanagerSilences([SilenceTarget(server.url)], Path())) as silences:
        made = [add(server, *matchers) for matchers in tables]
        snapshot = silences.fetch(now())
        post = ["amtool", f"--alertmanager.url={server.url}", "alert", "add", *[f"{k}={v}" for k, v in RANKING.items()]]
        subprocess.run(post, check=True, env={**os.environ, "HOME": str(server.folder)})
        (alert,) = server.alerts()
        ours = {silence.id for silence in covering(snapshot, RANKING, now())}
        assert ours == set(alert["status"]["silencedBy"])
        expected = [True, False, False, True, False, False, False, True, True]
        assert [id_ in ours for id_ in made] == expected + [True] * 4 + [False, False, False]
