"""Safe reading of configured files: regular files only, up to a size limit, without blocking."""

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
    """Return the content of a regular file. Raises OSError for anything else, or if larger than `most` bytes.

    Never blocks: pipes without a writer and endless devices are refused.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = next((text for is_kind, text in _KINDS if is_kind(mode)), "something else")
            raise OSError(errno.EINVAL, f"is {kind}, not a file; name a regular file", str(path))
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"is larger than {most // MIB} MiB; check the path, or split the file", str(path))
    return data


def read_text(path: Path, encoding: str = "utf-8", most: int = MIB) -> str:
    """Return the text of a regular file. Raises OSError as `read_bytes` does, and UnicodeDecodeError."""
    return read_bytes(path, most).decode(encoding)


def readable(*paths: Path) -> None:
    """Raise OSError unless all files can be read. For libraries that open a file by name and might block."""
    for path in paths:
        read_bytes(path)
