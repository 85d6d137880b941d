"""Watch of the configuration's files, which reloads the configuration when their content changed."""

from __future__ import annotations

import glob
import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

from bridge.domain.errors import ConfigError
from bridge.files.yaml import MOST_BYTES, read
from bridge.net.files import read_bytes

log = logging.getLogger(__name__)


class ConfigWatch:
    """Digest of bridge.yml and the rule files that it names, compared at each check.

    Kubernetes replaces a mounted ConfigMap by exchanging the symbolic link `..data`: modification times and inotify
    events of the files say nothing, so the content is compared.

    config_file: bridge.yml.
    """

    def __init__(self, config_file: Path) -> None:
        self._config_file = config_file
        self._loaded = self.digest()

    def check(self, reload: Callable[[], object]) -> None:
        """Call `reload` if a file was added, removed or changed since the last check, whether or not it succeeds."""
        present = self.digest()
        if present == self._loaded:
            return
        self._loaded = present
        log.info("configuration files changed", extra={"file": str(self._config_file)})
        reload()

    def digest(self) -> str:
        """Return a digest of all files' names and content; a file that cannot be read counts as its error."""
        digest = hashlib.sha256()
        for path in self._files():
            try:
                content = read_bytes(path, MOST_BYTES)
            except OSError as error:
                content = f"error {error.errno}".encode()
            for part in (str(path).encode(errors="surrogateescape"), content):
                digest.update(len(part).to_bytes(8, "big") + part)
        return digest.hexdigest()

    def _files(self) -> list[Path]:
        """Return bridge.yml and the rule files that its patterns match, in order."""
        try:
            value = read(self._config_file).value
        except ConfigError:
            return [self._config_file]
        patterns = value.get("rule_files") if isinstance(value, dict) else None
        folder = self._config_file.parent
        files = [self._config_file]
        for pattern in patterns if isinstance(patterns, list) else ():
            if isinstance(pattern, str):
                found = glob.glob(pattern, root_dir=folder, recursive=True)  # noqa: PTH207 - patterns may be absolute
                files += [folder / name for name in sorted(found)]
        return files
