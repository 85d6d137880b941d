"""Parser of the response of Alertmanager's GET /api/v2/silences."""

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
    """Silence as the API returns it, without its state, which follows from the times."""

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
    """Response that is not a list of silences."""


@dataclass(frozen=True, slots=True)
class Listed:
    """Silence and the time of its last change: members of a cluster may return different versions of it."""

    silence: Silence
    updated_at: Timestamp


@dataclass(frozen=True, slots=True)
class Listing:
    """All silences of one response, including those that could not be parsed."""

    silences: tuple[Listed, ...] = ()

    @property
    def unclear(self) -> list[str]:
        """Silences that could not be parsed, as one text each: id and reason."""
        unclear = [listed.silence for listed in self.silences if listed.silence.unclear]
        return [f"{silence.id}: {silence.unclear}" for silence in unclear]


def read_silences(body: bytes) -> Listing:
    """Return the silences of a response, expired ones too. Raises NotAListError when it is something else."""
    try:
        elements = _list.decode(body)
    except UNREADABLE as error:
        raise NotAListError(f"the answer is not a list of silences: {error}") from None
    return Listing(tuple(_listed(element) for element in elements))


def latest(listings: Sequence[Listing]) -> dict[str, Silence]:
    """Return the silences of several Alertmanagers by id, each in its newest version."""
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
    """Return the matchers that could be parsed, and the error of one that could not, if any."""
    parsed: list[Matcher] = []
    wrong = ""
    for raw in given:
        try:
            parsed.append(_matcher_of(_matcher.decode(raw)))
        except _NOT_READ as error:
            wrong = _describe(raw, str(error))
    return tuple(parsed), wrong


def _matcher_of(given: _Matcher) -> Matcher:
    if not given.name:
        raise ValueError("a matcher needs a label name")
    matcher = Matcher(given.name, _OPS[given.isEqual, given.isRegex], given.value)
    matcher.compile()
    return matcher


def _unclear(element: msgspec.Raw, why: str) -> Listed:
    """Return an unparsed silence with its times, as far as they can be read: without them it is active forever."""
    try:
        given = _object.decode(element)
    except UNREADABLE:
        given = {}
    id_ = given.get("id")
    name = id_ if isinstance(id_, str) and id_ else f"unclear-{hashlib.sha256(element).hexdigest()[:16]}"
    start, end = _instant(given.get("startsAt"), 0), _instant(given.get("endsAt"), LATEST)
    silence = Silence(name, (), start, min(end, LATEST), unclear=_describe(element, why))
    return Listed(silence, _instant(given.get("updatedAt"), LATEST))


def _instant(given: object, default: Timestamp) -> Timestamp:
    try:
        return parse_rfc3339(given) if isinstance(given, str) else default
    except _NOT_READ:
        return default


def _describe(element: msgspec.Raw, why: str) -> str:
    return redact(f"{bytes(element)[:SHOWN].decode('utf-8', 'replace')}: {why[:SHOWN]}")
