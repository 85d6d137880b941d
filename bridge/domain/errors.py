"""Every error that the package raises on purpose.

BridgeError
├── StrategyError             a strategy could not judge; the other observers go on
│   ├── MissingDataError           what it needs is not in the event or batch
│   └── Internal              the strategy itself failed
├── SourceError               a query was not answered; says whether asking again can help
├── StoreError                the store cannot be used; nothing that was committed is lost
│   ├── StoreBusyError             another process holds it
│   ├── StoreCorruptError          the file is not a database of ours, or is damaged
│   ├── StoreFullError             the disk is full, or the file may not grow
│   ├── StoreLostError             the files are not those that were opened
│   ├── StoreUncertainError        what it holds is not known: a COMMIT was not answered, or the lock was lost
│   └── SchemaTooNewError          written by a newer version
├── RequestError              a command on a request cannot be carried out
│   └── UnknownRequestError        there is no request with that id
└── ConfigError               the files are wrong; carries every problem at once
"""

from __future__ import annotations

from dataclasses import dataclass

from bridge.domain.limits import cut
from bridge.domain.verdict import Cause

RECORDINGS = "recording-rules"  # the lint of a note, which is never fatal
QUERY_SHOWN = 500  # characters of an expression in a message


class BridgeError(Exception):
    """Root of the tree."""


class StrategyError(BridgeError):
    """A strategy could not judge."""


class MissingDataError(StrategyError):
    """A strategy needs a column or an event that is not there."""


class InternalError(StrategyError):
    """A strategy failed in its own code."""


class SourceError(BridgeError):
    """A query was not answered.

    reason: closed word for metrics (`timeout`, `bad_data`, `execution`, `network`, `rate_limited`, `unavailable`,
    `unauthorized`, `internal`, `canceled`, `not_prometheus`, `duplicate_model`, `limit`).
    transient: asking again later can help.
    cause: how the verdicts of the slot are called.
    query, when: what was asked, and for which time; empty until whoever asked knows. fault: all but the time, so that
    the same failure reads the same at every slot.
    """

    query: str = ""
    when: str = ""

    def __init__(self, message: str, *, reason: str, transient: bool, cause: Cause = Cause.QUERY_ERROR) -> None:
        super().__init__(message)
        self.reason = reason
        self.transient = transient
        self.cause = cause

    @property
    def fault(self) -> str:
        return super().__str__() + (f"; query: {cut(self.query, QUERY_SHOWN)}" if self.query else "")

    def __str__(self) -> str:
        return self.fault + (f"; time: {self.when}" if self.when else "")


class StoreError(BridgeError):
    """The store cannot be used."""


class StoreBusyError(StoreError):
    """Another process holds the store."""


class StoreCorruptError(StoreError):
    """The file is not a database of ours, or is damaged."""


class StoreFullError(StoreError):
    """No space is left to write."""


class StoreLostError(StoreError):
    """The files of the database were removed, replaced or emptied while they were in use."""


class StoreUncertainError(StoreError):
    """What the store holds is not known any more: load it before anything else is decided."""


class SchemaTooNewError(StoreError):
    """The database was written by a newer version."""


class RequestError(BridgeError):
    """A command on a request cannot be carried out in its present state."""


class UnknownRequestError(RequestError):
    """There is no request with that id."""


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One mistake in a file: where it is, what is wrong, what would be right.

    lint: the name of a doubt; "" = it is an error.
    """

    file: str
    line: int
    path: str
    message: str
    hint: str = ""
    lint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.line else f"{self.file}: "
        where = f"{self.path}: " if self.path else ""
        said = f"{self.message}" + (f" ({self.hint})" if self.hint else "")
        if self.lint == RECORDINGS:
            return f"{place}{where}note: {said}"
        return f"{place}{where}warning: {said} [{self.lint}]" if self.lint else f"{place}{where}{said}"


class ConfigError(BridgeError):
    """The configuration is wrong: all its problems, in file order."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
