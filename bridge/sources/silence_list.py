"""Reads what Alertmanager's GET /api/v2/silences answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import Timestamp, parse_rfc3339
from bridge.sources.failures import UNREADABLE

# Python refuses some regular expressions that Go takes, or would read them otherwise.
_NOT_READ = (*UNREADABLE, ValueError, OverflowError, re.error, FutureWarning)
SHOWN = 100
# 9999-12-31T23:59:59Z: with an offset, an end that means "never" can lie beyond what a calendar holds.
LATEST: Timestamp = 253_402_300_799_000
# isEqual, isRegex
_OPS = {(True, False): "=", (False, False): "!=", (True, True): "=~", (False, True): "!~"}


class _Matcher(msgspec.Struct):
    name: str
    value: str
    isRegex: bool  # noqa: N815 - the API's name
    isEqual: bool = True  # noqa: N815 - absent before Alertmanager 0.22


class _Silence(msgspec.Struct):
    """As the API gives it; the state is left out, as it follows from the times."""

    id: str
    matchers: list[_Matcher]
    startsAt: str  # noqa: N815
    endsAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    createdBy: str = ""  # noqa: N815
    comment: str = ""


_list = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(_Silence)


class NotAListError(ValueError):
    """The answer is no list of silences at all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A silence, and when it was changed last: members of a cluster may know different versions of it."""

    silence: Silence
    updated_at: Timestamp


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer. damaged: what could not be read of single silences, as text for people."""

    silences: tuple[Listed, ...] = ()
    damaged: tuple[str, ...] = ()


def read_silences(body: bytes) -> Listing:
    """The silences of an answer, expired ones too. NotAListError when it is something else."""
    try:
        elements = _list.decode(body)
    except UNREADABLE as error:
        raise NotAListError(f"the answer is not a list of silences: {error}") from None
    found: list[Listed] = []
    damaged: list[str] = []
    for element in elements:
        try:
            found.append(_listed(_one.decode(element)))
        except _NOT_READ as error:
            damaged.append(f"{bytes(element)[:SHOWN].decode('utf-8', 'replace')}: {error}")
    return Listing(tuple(found), tuple(damaged))


def latest(listings: Sequence[Listing]) -> dict[str, Silence]:
    """The silences of several Alertmanagers by id, each in its newest version."""
    newest: dict[str, Listed] = {}
    for listing in listings:
        for listed in listing.silences:
            known = newest.get(listed.silence.id)
            if known is None or listed.updated_at > known.updated_at:
                newest[listed.silence.id] = listed
    return {id_: listed.silence for id_, listed in newest.items()}


def _listed(given: _Silence) -> Listed:
    if not given.id or not given.matchers:
        # Without matchers it would match everything.
        raise ValueError("a silence needs an id and a matcher")
    matchers = tuple(_matcher(matcher) for matcher in given.matchers)
    start, end = parse_rfc3339(given.startsAt), parse_rfc3339(given.endsAt)
    silence = Silence(given.id, matchers, start, min(end, LATEST), given.createdBy, given.comment)
    return Listed(silence, parse_rfc3339(given.updatedAt))


def _matcher(given: _Matcher) -> Matcher:
    if not given.name:
        raise ValueError("a matcher needs the name of a label")
    matcher = Matcher(given.name, _OPS[given.isEqual, given.isRegex], given.value)
    matcher.matches({})  # compiles a regular expression, so that a wrong one is found here
    return matcher
