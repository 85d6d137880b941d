"""Parsing of Alertmanager's list of silences."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given as over
from hypothesis import settings
from hypothesis import strategies as st

from bridge.domain.matchers import Matcher
from bridge.domain.silence import Silence
from bridge.domain.times import rfc3339
from bridge.sources.silence_list import Listing, NotAListError, latest, read_silences

STARTS, ENDS = 1_794_182_400_000, 1_794_186_000_500


def element(**changes: Any) -> dict[str, Any]:
    """Return a silence as the API does, with some keys changed; None removes a key."""
    given = {
        "id": "a1",
        "status": {"state": "active"},
        "updatedAt": "2026-11-09T00:00:00.000Z",
        "comment": "planned",
        "createdBy": "ops",
        "startsAt": "2026-11-09T00:00:00.000Z",
        "endsAt": "2026-11-09T02:00:00.500+01:00",
        "matchers": [{"name": "project", "value": "shop", "isRegex": False, "isEqual": True}],
    }
    return {key: value for key, value in (given | changes).items() if value is not None}


def matcher(**changes: Any) -> dict[str, Any]:
    return {"name": "project", "value": "shop", "isRegex": False, "isEqual": True, **changes}


def read(*elements: Any) -> Listing:
    return read_silences(json.dumps(elements).encode())


def test_a_silence_is_read_with_its_times_in_milliseconds() -> None:
    """Creator and comment are kept for display."""
    (listed,) = read(element()).silences
    assert listed.silence == Silence("a1", (Matcher("project", "=", "shop"),), STARTS, ENDS, "ops", "planned")
    assert listed.updated_at == STARTS


def test_a_silence_for_ever_ends_with_the_calendar() -> None:
    """Its end can be shown as a date, whatever its offset."""
    (listed,) = read(element(startsAt="0001-01-01T00:00:00+14:00", endsAt="9999-12-31T23:59:59-14:00")).silences
    assert rfc3339(listed.silence.ends_at) == "9999-12-31T23:59:59.000Z"
    assert listed.silence.silences({"project": "shop"}, STARTS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (matcher(), Matcher("project", "=", "shop")),
        (matcher(isEqual=False), Matcher("project", "!=", "shop")),
        (matcher(isRegex=True, value="shop|search"), Matcher("project", "=~", "shop|search")),
        (matcher(isRegex=True, isEqual=False), Matcher("project", "!~", "shop")),
        ({"name": "a", "value": "", "isRegex": False}, Matcher("a", "=", "")),
        ({"name": "größe", "value": "(", "isRegex": False, "more": 1}, Matcher("größe", "=", "(")),
    ],
)
def test_the_four_kinds_of_matchers(given: dict[str, Any], expected: Matcher) -> None:
    """isEqual is missing in old versions, in which every matcher was positive."""
    (listed,) = read(element(matchers=[given])).silences
    assert listed.silence.matchers == (expected,)


@pytest.mark.parametrize(
    "wrong",
    [
        element(id=None), element(id=""), element(id=7), element(matchers=None), element(matchers=[]),
        element(matchers={}), element(startsAt=None), element(endsAt="tomorrow"), element(endsAt=ENDS),
        element(endsAt="2026-11-09T02:00:00"), element(endsAt="10000-01-01T00:00:00Z"),
        element(updatedAt="0000-00-00T00:00:00Z"),
        element(matchers=[matcher(), {"name": "a", "value": "b"}]), element(matchers=[matcher(name="")]),
        element(matchers=[matcher(isRegex="true")]), element(matchers=[matcher(value=5)]),
        element(matchers=[matcher(isRegex=True, value="(")]),
        element(matchers=[matcher(isRegex=True, value="a{9999}")]), "text", 5, None, [], {},
    ],
)  # fmt: skip
def test_a_silence_that_cannot_be_understood_may_cover_everything(wrong: Any) -> None:
    """It does not silence a request, but may cover one. The other silences are used as usual."""
    listing = read(wrong, element(id="good"))
    unclear, good = (listed.silence for listed in listing.silences)
    assert (good.id, good.unclear) == ("good", "")
    assert (len(listing.unclear), listing.unclear[0]) == (1, f"{unclear.id}: {unclear.unclear}")
    assert unclear.may_silence({"project": "shop"}, STARTS)
    assert not unclear.silences({"project": "shop"}, STARTS)


def test_what_is_understood_of_a_silence_limits_what_it_may_cover() -> None:
    """Its other matchers and its times are kept."""
    (listed,) = read(element(matchers=[matcher(), matcher(name="a", isRegex=True, value="(?=b)")])).silences
    silence = listed.silence
    assert "(?=b)" in silence.unclear
    assert silence.may_silence({"project": "shop", "a": "c"}, STARTS)
    assert not silence.may_silence({"project": "search", "a": "c"}, STARTS)
    assert not silence.may_silence({"project": "shop", "a": "c"}, ENDS)
    (over,) = read(element(id=7)).silences
    assert [over.silence.may_silence({}, at) for at in (STARTS - 1, STARTS, ENDS)] == [False, True, False]


@pytest.mark.parametrize("value", ["[[:alpha:]]+", r"\pL+", r"shop\z", "(?i)SHOP", "(?s:.*)", r"\Qshop\E"])
def test_the_regular_expressions_of_alertmanager_are_understood(value: str) -> None:
    """Also those that Python's `re` does not support."""
    (listed,) = read(element(matchers=[matcher(isRegex=True, value=value)])).silences
    assert listed.silence.silences({"project": "shop"}, STARTS)


@pytest.mark.parametrize(
    "body",
    [b"", b"null", b"{}", b'{"status": "error"}', b"<html></html>", b"[1", b"[] []", b'"\xff"', b"[" * 100_000],
)
def test_other_answers_than_lists_are_errors(body: bytes) -> None:
    """Otherwise the response of some other server would lift every silence."""
    with pytest.raises(NotAListError, match="the answer is not a list of silences: "):
        read_silences(body)


def test_an_empty_list_means_that_nothing_is_silenced() -> None:
    """It is a valid response."""
    assert read_silences(b"[]") == Listing(())


def test_a_list_whose_element_is_nested_beyond_reason_is_read_or_refused() -> None:
    """It is one silence that cannot be parsed."""
    listing = read_silences(b'[{"id": ' + b"[" * 500 + b"]" * 500 + b"}]")
    assert (len(listing.silences), len(listing.unclear)) == (1, 1)


@pytest.mark.parametrize("first_is_newer", [True, False])
def test_the_newest_version_of_a_silence_counts(first_is_newer: bool) -> None:
    """A member of a cluster may not know yet that it was ended; the order of queries does not matter."""
    old = read(element(), element(id="b2"))
    new = read(element(endsAt="2026-11-09T00:10:00Z", updatedAt="2026-11-09T00:10:00Z"))
    silences = latest([new, old] if first_is_newer else [old, new])
    assert {id_: silence.ends_at for id_, silence in silences.items()} == {"a1": STARTS + 600_000, "b2": ENDS}


_LEAF = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5))
_MATCHER = st.fixed_dictionaries(
    {"name": st.text(max_size=3), "isRegex": st.booleans()},
    optional={"value": st.one_of(_LEAF, st.sampled_from(["(", "(?P<x", "a(?i)b", "[[a]", "a||b", "(?<=a)b", "\\1"]))},
)
_TIME = st.one_of(
    _LEAF, st.sampled_from(["2026-11-09T00:00:00.123456789Z", "0001-01-01T00:00:00Z", "2026-13-01T00:00Z"])
)
_SILENCE = st.fixed_dictionaries(
    {"id": st.text(max_size=3), "matchers": st.lists(_MATCHER, max_size=2), "updatedAt": _TIME},
    optional={"startsAt": _TIME, "endsAt": _TIME, "comment": _LEAF},
)


@settings(max_examples=200, deadline=None)
@over(
    st.one_of(
        st.binary(), st.lists(st.one_of(_LEAF, _SILENCE), max_size=3).map(lambda found: json.dumps(found).encode())
    )
)
def test_any_answer_is_read_or_refused(body: bytes) -> None:
    """No other exception is raised, and every element becomes a silence."""
    try:
        listing = read_silences(body)
    except NotAListError:
        return
    assert len(listing.silences) == len(json.loads(body.decode("utf-8", "replace")))
