"""Size limit of requests: any request fits into the coordinator's limit."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from bridge.coordinator.body import MAX_BODY, parse_request
from bridge.domain.limits import (
    LARGEST_LABELS,
    LARGEST_REQUEST,
    LONGEST_LINK,
    LONGEST_NAME,
    LONGEST_PART,
    cut,
)
from bridge.domain.model import ModelKey
from bridge.domain.request import Evidence, RetrainRequest, request_id
from bridge.domain.truncation import size, truncated_request

MODEL = ModelKey("shop", "ranking", "7")
DEAREST = "\x01"  # six bytes as JSON: no character costs more


def request_of(model: ModelKey = MODEL, rule: str = "R", **more: object) -> RetrainRequest:
    made = RetrainRequest(model, "why", 1_000, request_id(model, rule, 1_000, 1), rule, 1_000, reasons=("why",))
    return structs.replace(made, **more)


def evidence(query: str = "up", **series: str) -> Evidence:
    return Evidence("R", "drift", "drift", query, 0.7, 0.7, 0.6, "score", series)


def body(request: RetrainRequest) -> bytes:
    """Return the size as bridge/sinks/coordinator.py sends it, with the longest link."""
    return msgspec.json.encode({**request.to_json(), "generator_url": "x" * LONGEST_LINK})


def test_the_largest_request_of_a_bridge_is_taken_by_a_coordinator() -> None:
    """Return a request with every field at or above its limit, in the characters with the largest encoding."""
    part, name = DEAREST * LONGEST_PART, DEAREST * LONGEST_NAME
    long = DEAREST * 50_000
    one = structs.replace(evidence(long, **{long: long}), rule=name, signal=long)
    request = truncated_request(
        request_of(
            ModelKey(part, part, part), name, reason=long, reasons=(long,) * 500, evidence=(one,) * 500,
            labels={"g": DEAREST * (LARGEST_LABELS - 1), "r": DEAREST * (LARGEST_LABELS - 1)},
            annotations={f"a{number}": long for number in range(500)},
        )
    )  # fmt: skip
    assert size(request) <= LARGEST_REQUEST
    sent = body(request)
    print(f"largest body: {len(sent)} of {MAX_BODY} bytes")
    assert len(sent) <= MAX_BODY
    assert parse_request(sent).id == request.id


@pytest.mark.parametrize(
    "seen",
    [
        evidence("x" * 20_000),
        evidence("x" * 200_000),
        evidence(long="v" * 100_000),
        evidence(**{f"label_{number}": "value" for number in range(10_000)}),
    ],
    ids=["20 kB of PromQL", "200 kB of PromQL", "a label of 100 kB", "10,000 labels"],
)
def test_evidence_is_cut_with_a_mark(seen: Evidence) -> None:
    """These cases used to get HTTP 413 from the coordinator."""
    request = truncated_request(request_of(evidence=(seen,)))
    assert len(body(request)) <= MAX_BODY
    assert parse_request(body(request)).id == request.id
    if size(request_of(evidence=(seen,))) > LARGEST_REQUEST:
        assert "(cut, " in str(request.to_json())
    assert request.evidence[0].value == 0.7


def test_what_fits_is_left_as_it_is() -> None:
    """Every truncation has a mark with the missing amount."""
    small = request_of(evidence=(evidence(),))
    assert truncated_request(small) is small
    request = truncated_request(request_of(evidence=(evidence("x" * 100_000, a="b"),) * 120, reasons=("why", "and")))
    assert request.reasons == ("why", "and", "(cut, 20 of 120 pieces of evidence)")
    assert request.evidence[0].query == "x" * 1000 + "… (cut, 1000 of 100000 characters)"
    assert cut("abc", 3) == "abc"


_words = st.text(max_size=30).map(lambda text: text.replace("\0", " "))
_long = st.tuples(_words, st.integers(0, 20_000)).map(lambda item: item[0] * (item[1] // (len(item[0]) or 1)))
_maps = st.dictionaries(_words, _long, max_size=5)


@given(
    st.lists(_long, max_size=30),
    st.lists(st.builds(lambda text, series: evidence(text, **series), _long, _maps), max_size=30),
    _maps,
)
def test_any_request_fits(reasons: list[str], seen: list[Evidence], annotations: dict[str, str]) -> None:
    """A second truncation changes nothing: the stored request is what is sent."""
    request = truncated_request(request_of(reasons=tuple(reasons), evidence=tuple(seen), annotations=annotations))
    assert size(request) <= LARGEST_REQUEST
    assert len(body(request)) <= MAX_BODY
    assert truncated_request(request) is request
