"""Errors that the package raises on purpose.

BridgeError
├── StrategyError             a strategy failed to evaluate; other observers are not affected
│   ├── MissingDataError           the event or batch lacks data that the strategy needs
│   └── InternalError              the strategy's own code failed
├── SourceError               a query failed; `transient`: whether a retry can help
├── NoAnswerError             a server answers no query, so that a command ends
├── StoreError                the store is not usable; no committed data is lost
│   ├── StoreBusyError             another process holds the lock
│   ├── StoreCorruptError          the file is not a database of the bridge, or is damaged
│   ├── StoreFullError             the disk is full, or the file has reached its size limit
│   ├── StoreLostError             the database files were replaced or removed
│   ├── StoreUncertainError        its content is unknown: a COMMIT got no response, or the lock was lost
│   └── SchemaTooNewError          the schema was written by a newer version
├── RequestError              a command on a request is not possible
│   └── UnknownRequestError        no request has that id
└── ConfigError               the configuration is invalid; contains every problem
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from bridge.domain.codes import Cause
from bridge.domain.limits import cut

# Lints of notes, which are never fatal.
RECORDINGS, HTTP2 = "recording-rules", "http2"
_NOTES = frozenset({RECORDINGS, HTTP2})
QUERY_SHOWN = 500  # characters of an expression in a message


class BridgeError(Exception):
    """Base class of all errors of the package."""


class StrategyError(BridgeError):
    """Failure of a strategy to evaluate."""


class MissingDataError(StrategyError):
    """Column or event that a strategy needs and did not get."""


class InternalError(StrategyError):
    """Exception in a strategy's own code."""


class SourceError(BridgeError):
    """Failed query.

    reason: closed set of words for metrics (`timeout`, `bad_data`, `execution`, `network`, `rate_limited`,
        `unavailable`, `unauthorized`, `internal`, `canceled`, `not_prometheus`, `duplicate_model`, `limit`).
    transient: True if a retry can help.
    cause: cause of the slot's inconclusive verdicts.
    query: the PromQL expression; empty until the caller adds it.
    when: the evaluation time of the query, as text; empty until the caller adds it.
    advice: the server's address and the likely cause; empty where the message says it all.
    """

    cause = Cause.QUERY_ERROR
    query: str = ""
    when: str = ""
    advice: str = ""

    def __init__(self, message: str, *, reason: str, transient: bool) -> None:
        super().__init__(message)
        self.reason = reason
        self.transient = transient

    @property
    def fault(self) -> str:
        """Message without the time, so that the same failure has the same text at every slot."""
        text = super().__str__() + (f" ({self.advice})" if self.advice else "")
        return text + (f"; query: {cut(self.query, QUERY_SHOWN)}" if self.query else "")

    def __str__(self) -> str:
        return self.fault + (f"; time: {self.when}" if self.when else "")


class NoAnswerError(BridgeError):
    """Server that answers no query, so that a command ends."""


class StoreError(BridgeError):
    """Store that is not usable."""


class StoreBusyError(StoreError):
    """Store that another process holds."""


class StoreCorruptError(StoreError):
    """File that is not a database of the bridge, or is damaged."""


class StoreFullError(StoreError):
    """Store without space left to write."""


class StoreLostError(StoreError):
    """Database files that were removed, replaced or emptied while in use."""


class StoreUncertainError(StoreError):
    """Store whose content is unknown: reload it before the next decision."""


class SchemaTooNewError(StoreError):
    """Database written by a newer version."""


class RequestError(BridgeError):
    """Command on a request that is not possible in the request's state."""


class UnknownRequestError(RequestError):
    """Command on a request id that does not exist."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: its location, what is wrong, and how to fix it.

    line: 1-based, 0 = the file as a whole.
    column: 1-based, in characters; 0 = unknown.
    path: key path in the file, such as `groups[0].rules[1].expr`.
    lint: name of the lint for a warning; "" = an error.
    """

    file: str
    line: int
    column: int = field(default=0, kw_only=True)
    path: str
    message: str
    hint: str = ""
    lint: str = ""

    @property
    def is_note(self) -> bool:
        """True if the message only informs, and the user need not change anything."""
        return self.lint in _NOTES

    def __str__(self) -> str:
        location = ":".join(map(str, (self.file, *filter(None, (self.line, self.column))))) + ": "
        location += f"{self.path}: " if self.path else ""
        text = self.message + (f" ({self.hint})" if self.hint else "")
        if self.is_note:
            return f"{location}note: {text}"
        return f"{location}warning: {text} [{self.lint}]" if self.lint else f"{location}{text}"


class ConfigError(BridgeError):
    """Invalid configuration with all its problems, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def below(self, old: str, new: str) -> ConfigError:
        """Return the error with key paths that begin with `new` in place of `old`."""
        paths = [(problem, new + problem.path.removeprefix(old)) for problem in self.problems]
        return ConfigError([replace(problem, path=path) for problem, path in paths])
