"""Reads what Alertmanager's GET /api/v2/silences answers."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import Timestamp, parse_rfc3339
from bridge.net.redact import redact
from bridge.sources.failures import UNREADABLE

_NOT_READ = (*UNREADABLE, ValueError, OverflowError)
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
    matchers: list[msgspec.Raw]
    startsAt: str  # noqa: N815
    endsAt: str  # noqa: N815
    updatedAt: str  # noqa: N815
    createdBy: str = ""  # noqa: N815
    comment: str = ""


_list = msgspec.json.Decoder(list[msgspec.Raw])
_one = msgspec.json.Decoder(_Silence)
_matcher = msgspec.json.Decoder(_Matcher)
_object = msgspec.json.Decoder(dict[str, Any])


class NotAListError(ValueError):
    """The answer is no list of silences at all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A silence, and when it was changed last: members of a cluster may know different versions of it."""

    silence: Silence
    updated_at: Timestamp


@dataclass(frozen=True, slots=True)
class Listing:
    """One answer: every silence of it, those that cannot be understood too."""

    silences: tuple[Listed, ...] = ()

    @property
    def unclear(self) -> list[str]:
        """What cannot be understood, a text for each such silence."""
        found = [listed.silence for listed in self.silences if listed.silence.unclear]
        return [f"{silence.id}: {silence.unclear}" for silence in found]


def read_silences(body: bytes) -> Listing:
    """Return the silences of an answer, expired ones too. NotAListError when it is something else."""
    try:
        elements = _list.decode(body)
    except UNREADABLE as error:
        raise NotAListError(f"the answer is not a list of silences: {error}") from None
    return Listing(tuple(_listed(element) for element in elements))


def latest(listings: Sequence[Listing]) -> dict[str, Silence]:
    """The silences of several Alertmanagers by id, each in its newest version."""
    newest: dict[str, Listed] = {}
    for listing in listings:
        for listed in listing.silences:
            known = newest.get(listed.silence.id)
            if known is None or listed.updated_at > known.updated_at:
                newest[listed.silence.id] = listed
    return {id_: listed.silence for id_, listed in newest.items()}


def _listed(element: msgspec.Raw) -> Listed:
    try:
        return _read(_one.decode(element))
    except _NOT_READ as error:
        return _unclear(element, str(error))


def _read(given: _Silence) -> Listed:
    if not given.id or not given.matchers:
        raise ValueError("a silence needs an id and a matcher")
    matchers, unclear = _matchers(given.matchers)
    start, end = parse_rfc3339(given.startsAt), parse_rfc3339(given.endsAt)
    silence = Silence(given.id, matchers, start, min(end, LATEST), given.createdBy, given.comment, unclear)
    return Listed(silence, parse_rfc3339(given.updatedAt))


def _matchers(given: Sequence[msgspec.Raw]) -> tuple[tuple[Matcher, ...], str]:
    """Return the matchers that are understood, and what is wrong with one that is not."""
    found: list[Matcher] = []
    wrong = ""
    for raw in given:
        try:
            found.append(_made(_matcher.decode(raw)))
        except _NOT_READ as error:
            wrong = _said(raw, str(error))
    return tuple(found), wrong


def _made(given: _Matcher) -> Matcher:
    if not given.name:
        raise ValueError("a matcher needs the name of a label")
    matcher = Matcher(given.name, _OPS[given.isEqual, given.isRegex], given.value)
    matcher.compile()
    return matcher


def _unclear(element: msgspec.Raw, why: str) -> Listed:
    """Return a silence of which only the times are known, if at all: without them it is in force and does not end."""
    try:
        given = _object.decode(element)
    except UNREADABLE:
        given = {}
    id_ = given.get("id")
    name = id_ if isinstance(id_, str) and id_ else f"unclear-{hashlib.sha256(element).hexdigest()[:16]}"
    start, end = _instant(given.get("startsAt"), 0), _instant(given.get("endsAt"), LATEST)
    silence = Silence(name, (), start, min(end, LATEST), unclear=_said(element, why))
    return Listed(silence, _instant(given.get("updatedAt"), LATEST))


def _instant(given: object, otherwise: Timestamp) -> Timestamp:
    try:
        return parse_rfc3339(given) if isinstance(given, str) else otherwise
    except _NOT_READ:
        return otherwise


def _said(element: msgspec.Raw, why: str) -> str:
    return redact(f"{bytes(element)[:SHOWN].decode('utf-8', 'replace')}: {why[:SHOWN]}")
