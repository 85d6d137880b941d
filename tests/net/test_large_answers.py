"""A huge response uses no more memory than allowed, and the memory is returned; measured in a separate process."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support import large_answers
from tests.support.large_answers import MB, bomb, matrix, measured, names, served, vector

SIZE = 32 * MB
SLACK = 16 * MB  # of interpreter and libraries, which differs from run to run


def checked(url: str, limit: int, how: str, most: int, outcome: str) -> None:
    """Fetch in a separate process: the peak rises by at most `most` bytes, and almost nothing remains afterwards."""
    found = measured(url, limit, how)
    before, peak, after = (int(str(found[key])) for key in ("before", "peak", "after"))
    print(f"peak +{(peak - before) / MB:.1f} MB, after +{(after - before) / MB:.1f} MB: {found['outcome']}")
    assert outcome in str(found["outcome"])
    assert peak - before <= most + SLACK
    assert after - before <= SLACK


@pytest.mark.parametrize(
    ("make", "how", "outcome"),
    [
        (vector, "instant", "limit: signal 'drift': the answer holds"),
        (lambda size: vector(size, 0), "instant", "limit: signal 'drift': the answer holds"),
        (lambda size: vector(size, 0).replace(b'"project":"p","pipeline":"q",', b""), "instant", "limit:"),
        (matrix, "history", ""),
        (lambda size: b" " * size, "instant", "not_prometheus: the answer is not JSON"),
        (lambda size: b"x" * size, "instant", "not_prometheus: the answer is not JSON"),
    ],
    ids=["series", "short series", "shorter series", "matrix", "blanks", "letters"],
)
def test_a_large_answer_costs_three_times_its_size(make: Callable[[int], bytes], how: str, outcome: str) -> None:
    body = make(SIZE)
    with served(body) as url:
        checked(url, 256 * MB, how, 3 * len(body), outcome)


@pytest.mark.parametrize("how", ["instant", "listing"])
def test_what_is_too_large_is_not_read(how: str) -> None:
    """Content-Length is checked first."""
    with served(names(SIZE)) as url:
        checked(url, MB, how, 0, "limit: the answer is larger than max_answer_bytes: 1048576")


@pytest.mark.parametrize("how", ["instant", "listing"])
def test_an_answer_without_a_length_is_read_up_to_the_limit(how: str) -> None:
    """The size is checked chunk by chunk."""
    with served(names(SIZE), Transfer_Encoding="chunked") as url:
        checked(url, 8 * MB, how, 3 * 8 * MB, "limit: the answer is larger than max_answer_bytes: 8388608")


@pytest.mark.parametrize("how", ["instant", "listing"])
def test_a_bomb_is_unpacked_up_to_the_limit(how: str) -> None:
    """One megabyte compressed, 256 decompressed."""
    with served(bomb(256 * MB), Content_Encoding="gzip") as url:
        checked(url, 32 * MB, how, 3 * 32 * MB, "limit: the answer is larger than max_answer_bytes: 33554432")


@pytest.mark.parametrize(("status", "reason"), [(302, "Exceeded 30 redirects"), (422, "execution: HTTP 422")])
def test_the_body_of_a_redirect_or_an_error_is_not_read(status: int, reason: str) -> None:
    """Its body is not read, compressed or not."""
    for body, encoding in ((b"x" * SIZE, "identity"), (bomb(SIZE), "gzip")):
        with served(body, status, Location="/again", Content_Encoding=encoding) as url:
            checked(url, 256 * MB, "instant", 0, reason)


def test_the_process_that_measures_can_see_a_large_answer() -> None:
    """Guard: otherwise the limits above would pass with a measurement that is always small."""
    body = large_answers.vector(SIZE)
    with served(body) as url:
        found = measured(url, 256 * MB, "instant")
    assert int(str(found["peak"])) - int(str(found["before"])) >= len(body)
