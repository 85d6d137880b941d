"""Files and folders that only their owner may read, whatever the umask, also those that are there already."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def private_folder(path: Path) -> None:
    """Make the folder, or close it to others; one that is shared (sticky) or another user's stays as it is. OSError."""
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(mode=_FOLDER, exist_ok=True)
    if not path.stat().st_mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            path.chmod(_FOLDER)


def private_file(path: Path) -> None:
    """Make the file if it is not there, and close it to others; another user's stays as it is. OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE))
    with contextlib.suppress(PermissionError):
        path.chmod(_FILE)
