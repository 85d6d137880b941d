"""Patience of a command with a server: what it reports, and when it ends."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from bridge.domain.errors import NoAnswerError, SourceError
from bridge.sources import failures
from bridge.sources.failures import AttemptError
from bridge.sources.patience import LAST, SHORTER, SHOWN, WITHOUT, Patience

LATE = 1e12  # an instant after all others


@dataclass
class Server:
    """A server that answers the probe, or does not. reported: what the user read."""

    answers: bool = False
    probes: int = 0
    reported: list[str] = field(default_factory=list)

    def probe(self) -> None:
        self.probes += 1
        if not self.answers:
            raise SourceError("nothing", reason="timeout", transient=True)

    def patience(self) -> Patience:
        return Patience(lambda _, follows: self.reported.append(follows), "http://a.test", 30.0, self.probe)


def silence(query: str = "x") -> AttemptError:
    failure = failures.of_network("no full answer", "timeout")
    failure.query = query
    return failure


def test_a_server_that_answers_nothing_ends_the_command() -> None:
    """After three queries and the probe; queries in other threads end too."""
    server = Server()
    patience = server.patience()
    patience.failed(silence(), LATE, shorter=True)
    patience.failed(silence(), LATE)
    for _ in range(2):
        with pytest.raises(NoAnswerError) as caught:
            patience.failed(silence(), LATE)
    assert str(caught.value) == (
        "http://a.test does not answer: 3 queries in a row and vector(1) had no answer within 30 s each; check the"
        " server, then run the command again"
    )
    assert (server.probes, server.reported) == (1, [SHORTER, WITHOUT, WITHOUT])


def test_a_server_that_answers_the_probe_has_all_the_time_it_needs() -> None:
    """Its queries are slow, and each of them is reported."""
    server = Server(answers=True)
    patience = server.patience()
    for _ in range(40):
        patience.failed(silence(), LATE)
    assert (server.probes, len(server.reported)) == (13, 40)


@pytest.mark.parametrize(
    "other",
    [failures.of_network("refused", "network"), failures.of_status(503, {}, b'{"errorType": "timeout", "error": "a"}')],
)
def test_only_silence_ends_it(other: AttemptError) -> None:
    """An answer in between, an error, or a refused connection (the server restarts) begins the row anew."""
    server = Server()
    patience = server.patience()
    for _ in range(5):
        patience.failed(silence(), LATE)
        patience.failed(silence(), LATE)
        patience.failed(other, LATE)
        patience.failed(silence(), LATE)
        patience.answered()
    assert server.probes == 0


def test_queries_side_by_side_are_one_of_the_row() -> None:
    """Those that were sent before another one failed."""
    server = Server()
    patience = server.patience()
    for _ in range(20):
        patience.failed(silence(), 1.0)
    assert server.probes == 0


def test_a_failure_that_is_fast_is_not_reported_for_ever() -> None:
    """A wrong expression fails in each slot; another one is reported by itself."""
    server = Server()
    patience = server.patience()
    wrong, other = (failures.of_status(400, {}, b"wrong") for _ in range(2))
    other.query = "another"
    for _ in range(2 * SHOWN):
        patience.failed(wrong, LATE)
    patience.failed(other, LATE)
    assert server.reported == [*[WITHOUT] * (SHOWN - 1), WITHOUT + LAST, WITHOUT]


def test_an_error_is_an_answer_to_the_probe() -> None:
    """A server that refuses the probe, but is there, is waited for."""
    server = Server()
    server.probe = lambda: (_ for _ in ()).throw(SourceError("no", reason="bad_data", transient=False))  # type: ignore[method-assign]
    patience = server.patience()
    for _ in range(7):
        patience.failed(silence(), LATE)


def test_an_answer_that_comes_during_the_probe_counts() -> None:
    server = Server()
    patience = server.patience()
    probe = server.probe

    def answered_meanwhile() -> None:
        patience.answered()
        probe()

    patience = Patience(lambda _, __: None, "http://a.test", 30.0, answered_meanwhile)
    for _ in range(5):
        patience.failed(silence(), LATE)
    assert server.probes == 1


def test_the_last_report_is_marked_as_the_last_whatever_follows() -> None:
    server = Server()
    patience = server.patience()
    failure = failures.of_network("refused", "network")
    for _ in range(SHOWN + 2):
        patience.failed(failure, LATE, shorter=True)
    assert server.reported == [*[SHORTER] * (SHOWN - 1), SHORTER + LAST]
