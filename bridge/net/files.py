"""Reads files that people name: only regular ones, and only as much of them as is meant to be there."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

MIB = 1024 * 1024
_KINDS = (
    (stat.S_ISFIFO, "a pipe"), (stat.S_ISSOCK, "a socket"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
)  # fmt: skip


def read_bytes(path: Path, most: int = MIB) -> bytes:
    """Return what a regular file holds; OSError for anything else, or when it is larger than `most` bytes.

    Neither opening nor reading waits: a pipe that nobody writes to and a device that never ends are refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((text for is_kind, text in _KINDS if is_kind(mode)), "something else")
            raise OSError(errno.EINVAL, f"is {kind}, not a file; name a regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"is larger than {most // MIB} MiB; name the right file, or split it", str(path))
    return data


def read_text(path: Path, encoding: str = "utf-8", most: int = MIB) -> str:
    """Return the text of a regular file as `read_bytes` reads it; UnicodeDecodeError when it is not text."""
    return read_bytes(path, most).decode(encoding)


def readable(*paths: Path) -> None:
    """Raise OSError when one of the files cannot be read, for a library that would open it by its name and wait."""
    for path in paths:
        read_bytes(path)
