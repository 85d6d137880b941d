"""The folder in which a backtest keeps how far it came: one file, exchanged as a whole after every part."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bridge.authoring.backtest.recording import Recording
from bridge.authoring.backtest.results import Results
from bridge.domain.errors import BridgeError
from bridge.domain.times import Timestamp
from bridge.engine.replay.checkpoint import Checkpoint

_FILE = "backtest.msgpack"
_FORM = 2  # of the file; another one is not read


class BacktestError(BridgeError):
    """A backtest cannot be made, or cannot go on."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far it came. done: the last instant of the last complete part. meaning: hash of what is replayed.

    asked: the span as it was asked for, so that `now` means the same when it is asked for again.
    """

    form: int
    meaning: str
    asked: tuple[str, str]
    done: Timestamp
    results: Results
    engine: Checkpoint
    charts: Recording | None


def meaning(*parts: object) -> str:
    """Hash of what is replayed; results under another one are those of another backtest."""
    return hashlib.sha256("\n".join(repr(part) for part in parts).encode()).hexdigest()


def progress(
    meant: str, asked: tuple[str, str], done: Timestamp, results: Results, engine: Checkpoint, charts: Recording | None
) -> Progress:
    """In the present form."""
    return Progress(_FORM, meant, asked, done, results, engine, charts)


def span(folder: Path, asked: tuple[str, str]) -> tuple[Timestamp, Timestamp] | None:
    """The span that was begun there, when it was asked for in the same words. Raises BacktestError."""
    found = _found(folder)
    return None if found is None or found.asked != asked else (found.results.since, found.results.until)


def read(folder: Path, meant: str) -> Progress | None:
    """What the folder holds of this backtest, None when it holds nothing. Raises BacktestError."""
    found = _found(folder)
    if found is not None and found.meaning != meant:
        raise BacktestError(f"{folder} holds another backtest: other rules, gates or times; name another folder")
    return found


def _found(folder: Path) -> Progress | None:
    try:
        data = (folder / _FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BacktestError(f"{folder} cannot be used: {error.strerror}") from None
    try:
        found = msgspec.msgpack.decode(data, type=Progress)
    except msgspec.MsgspecError:
        found = None
    if found is None or found.form != _FORM:
        raise BacktestError(f"{folder / _FILE} is damaged, or of another version; remove it to begin anew")
    return found


def write(folder: Path, progress: Progress) -> None:
    """Exchange the file: it is the old one or the new one, whenever the process ends. Raises BacktestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{_FILE}.new"
        with fresh.open("wb") as file:
            file.write(msgspec.msgpack.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _FILE)
    except OSError as error:
        raise BacktestError(f"{folder} cannot be written: {error.strerror}") from None
