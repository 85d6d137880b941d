"""Saved progress of a backtest: one file in a folder, replaced atomically after every part."""

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
_FORM = 4  # version of the file; others are refused


class BacktestError(BridgeError):
    """Error that prevents a backtest or its continuation."""


@dataclass(frozen=True, slots=True)
class Progress:
    """Saved progress.

    form: version of the file.
    meaning: hash of what is replayed.
    asked: the range as the user wrote it, so that `now` keeps its meaning when the backtest is continued.
    done: end of the last complete part.
    """

    form: int
    meaning: str
    asked: tuple[str, str]
    done: Timestamp
    results: Results
    engine: Checkpoint
    charts: Recording | None


def meaning(*parts: object) -> str:
    """Return a hash of what is replayed; results with another hash belong to another backtest."""
    return hashlib.sha256("\n".join(repr(part) for part in parts).encode()).hexdigest()


def progress(
    meant: str, asked: tuple[str, str], done: Timestamp, results: Results, engine: Checkpoint, charts: Recording | None
) -> Progress:
    """Return progress in the current version of the file."""
    return Progress(_FORM, meant, asked, done, results, engine, charts)


def span(folder: Path, asked: tuple[str, str]) -> tuple[Timestamp, Timestamp] | None:
    """Return the saved range if the user wrote the same one, else None. Raises BacktestError."""
    saved = _saved(folder)
    return None if saved is None or saved.asked != asked else (saved.results.since, saved.results.until)


def read(folder: Path, meant: str) -> Progress | None:
    """Return the saved progress of this backtest, None without any. Raises BacktestError."""
    saved = _saved(folder)
    if saved is not None and saved.meaning != meant:
        raise BacktestError(f"{folder} contains a backtest with other rules, gates or times; choose another folder")
    return saved


def _saved(folder: Path) -> Progress | None:
    try:
        data = (folder / _FILE).read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise BacktestError(f"cannot read {folder}: {error.strerror}") from None
    try:
        saved = msgspec.msgpack.decode(data, type=Progress)
    except msgspec.MsgspecError:
        saved = None
    if saved is None or saved.form != _FORM:
        raise BacktestError(f"{folder / _FILE} is corrupt or was written by another version; remove it to start again")
    return saved


def write(folder: Path, progress: Progress) -> None:
    """Replace the file atomically. Raises BacktestError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        fresh = folder / f"{_FILE}.new"
        with fresh.open("wb") as file:
            file.write(msgspec.msgpack.encode(progress))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(folder / _FILE)
    except OSError as error:
        raise BacktestError(f"cannot write to {folder}: {error.strerror}") from None
