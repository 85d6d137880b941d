"""Patience of a command with a server: failed queries are reported at once, and a server without answers ends it."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

from bridge.domain.errors import NoAnswerError, SourceError
from bridge.sources.failures import AttemptError

IN_A_ROW = 3  # queries without an answer in time, after which the server is probed
SHOWN = 10  # reports of one failure of a query; each failure that takes the whole timeout is reported
PROBE = "vector(1)"
SHORTER, WITHOUT = "repeating it for a shorter time range", "continuing without its answer"
LAST = "; more failures of this kind are not reported"

Report = Callable[[SourceError, str], None]  # a failed query, and what follows


class Patience:
    """Reports of failed queries to one server, and the end of the command when it answers none. Thread-safe.

    server: its URL. timeout: of a query, in seconds. probe: sends PROBE. Raises SourceError without an answer.
    """

    def __init__(self, report: Report, server: str, timeout: float, probe: Callable[[], object]) -> None:
        self._report = report
        self._text = (
            f"{server} does not answer: {IN_A_ROW} queries in a row and {PROBE} had no answer within {timeout:g} s"
            " each; check the server, then run the command again"
        )
        self._probe = probe
        self._lock = threading.Lock()
        self._reported: Counter[tuple[str, str]] = Counter()
        self._in_a_row = 0
        self._counted = 0.0
        self._gone = False

    def answered(self) -> None:
        """Record an answer."""
        self._in_a_row = 0

    def failed(self, failure: AttemptError, began: float, *, shorter: bool = False) -> None:
        """Report a failed query. Raises NoAnswerError if the server answers none.

        began: monotonic instant at which it was sent. shorter: True if it is repeated for a shorter time range.
        """
        with self._lock:
            if not self._gone:
                self._tell(failure, shorter=shorter)
                if failure.status or failure.reason != "timeout":
                    self._in_a_row = 0
                elif began >= self._counted:  # of queries side by side, one counts
                    self._in_a_row += 1
                    self._counted = time.monotonic()
                    self._gone = self._in_a_row >= IN_A_ROW and not self._alive() and self._in_a_row >= IN_A_ROW
            if self._gone:
                raise NoAnswerError(self._text)

    def _tell(self, failure: AttemptError, *, shorter: bool) -> None:
        times = self._reported[failure.query, failure.reason] = self._reported[failure.query, failure.reason] + 1
        if failure.reason == "timeout" or times <= SHOWN:
            follows = SHORTER if shorter else WITHOUT
            self._report(failure, follows + LAST if times == SHOWN and failure.reason != "timeout" else follows)

    def _alive(self) -> bool:
        try:
            self._probe()
        except SourceError as error:
            if error.reason == "timeout" and not (isinstance(error, AttemptError) and error.status):
                return False
        self._in_a_row = 0
        return True
