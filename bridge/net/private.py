"""Files and directories readable by their owner only, whatever the umask, including existing ones."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def private_folder(path: Path) -> None:
    """Create the directory with mode 0700, or set that mode on an existing one. Raises OSError.

    A shared (sticky) directory, or another user's, keeps its mode.
    """
    if not path.parent.exists():
        private_folder(path.parent)
    path.mkdir(mode=_FOLDER, exist_ok=True)
    if not path.stat().st_mode & stat.S_ISVTX:
        with contextlib.suppress(PermissionError):
            path.chmod(_FOLDER)


def private_file(path: Path) -> None:
    """Create the file if missing, and set mode 0600; another user's file keeps its mode. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, _FILE))
    with contextlib.suppress(PermissionError):
        path.chmod(_FILE)
