"""Present content of the web config file, reloaded when it changes."""

from __future__ import annotations

import logging
from pathlib import Path

from bridge.domain.errors import ConfigError, Problem
from bridge.web.http.web_config import WebConfig, load_web_config

log = logging.getLogger(__name__)


def stamp(*paths: Path) -> tuple[object, ...]:
    """Return a value that changes when a file is changed, replaced or removed."""
    stamps: list[object] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(stamps)


class WebConfigFile:
    """Present content of the file. If it becomes invalid, the error is logged once and the previous content stays."""

    def __init__(self, path: Path | None, config: WebConfig) -> None:
        self._path = path
        self._config = config
        self._seen: tuple[object, ...] = ()  # the first use reloads: the file may have changed since `config`

    def current(self) -> WebConfig:
        """Return the present content; costs one stat if the file has not changed."""
        if self._path is None:
            return self._config
        current = stamp(self._path)
        if current != self._seen:
            self._seen = current
            try:
                self._config = self._load(self._path)
            except ConfigError as error:
                log.error(  # noqa: TRY400 - the message is complete without a traceback
                    "cannot load web config file, keeping the previous one", extra={"error": str(error)}
                )
        return self._config

    def _load(self, path: Path) -> WebConfig:
        """Load the file. Raises ConfigError if it has lost all users: a truncated file must not open the server."""
        config = load_web_config(path)
        if self._config.basic_auth_users and not config.basic_auth_users:
            message, hint = "no longer lists any users", "restart to serve without users"
            raise ConfigError([Problem(str(path), 0, "basic_auth_users", message, hint)])
        return config
