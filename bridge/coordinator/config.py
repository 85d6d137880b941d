"""Coordinator configuration: coordinator.yml, and the flags that override it."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, PrivateAttr, ValidationInfo

from bridge.domain.errors import ConfigError
from bridge.domain.times import DAY, HOUR, SECOND
from bridge.files.validation import PositiveDurationField, Section, checked
from bridge.files.yaml import Document, read
from bridge.net.files import read_text, readable
from bridge.net.hosts import check_name, is_http_url, is_loopback
from bridge.net.http_config import SinkHttpConfig
from bridge.net.signature import check_secret


def _beside_the_file(value: Path, info: ValidationInfo) -> Path:
    """Resolve a path relative to the directory of the configuration file."""
    return Path((info.context or {}).get("base_dir", ".")) / value


def _http_url(value: str) -> str:
    if not is_http_url(value):
        raise ValueError("must be an http:// or https:// URL with a host")
    parts = urlsplit(value)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must be a plain base URL; credentials belong in bridge_http_config")
    return value.rstrip("/")


def split_listen(value: str) -> tuple[str, int]:
    """Split "127.0.0.1:8090", "[::1]:8090" or ":8090" into host and port. Raises ValueError."""
    host, colon, port = value.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError("must be HOST:PORT, for example 127.0.0.1:8090")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _listen(value: str, info: ValidationInfo) -> str:
    """Require authentication on a public address. `secret_file` and `token_file` must precede `listen` in the model."""
    host, _ = split_listen(value)
    guarded = info.data.get("secret_file", True) or info.data.get("token_file", True)
    if not is_loopback(host) and not guarded:
        raise ValueError(
            f"{value} is reachable from other machines, and anyone who reaches it can start runs: "
            "set secret_file or token_file, or listen on 127.0.0.1"
        )
    return value


def _runnable(value: tuple[str, ...]) -> tuple[str, ...]:
    if value and shutil.which(value[0]) is None:
        raise ValueError(f"{value[0]!r} is neither an executable file nor a command found on PATH")
    return value


def _text_of(path: Path) -> str:
    """Return the content of a secret file, read at every use. Raises ValueError with the cause."""
    try:
        return read_text(path, "ascii").strip()
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not plain ASCII text") from None


def _readable(path: Path) -> Path:
    try:
        readable(path)
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    return path


def _holds_a_secret(path: Path) -> Path:
    secrets = _text_of(path).split()
    for secret in secrets:
        check_secret(secret)
    if not secrets:
        raise ValueError(f"{path} contains no secret; write one per line")
    return path


def _holds_a_token(path: Path) -> Path:
    if len(_text_of(path)) < TOKEN_MIN:
        raise ValueError(f"{path} must contain a token of at least {TOKEN_MIN} characters")
    return path


TOKEN_MIN = 16
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
SecretFile = Annotated[FilePath, AfterValidator(_holds_a_secret)]
TokenFile = Annotated[FilePath, AfterValidator(_holds_a_token)]
TlsFile = Annotated[FilePath, AfterValidator(_readable)]


class TlsConfig(Section):
    """Certificate and key to serve HTTPS."""

    cert_file: TlsFile
    key_file: TlsFile


class CoordinatorConfig(Section):
    """Configuration of the coordinator. Durations in ms; paths absolute or relative to the working directory."""

    secret_file: SecretFile | None = None
    token_file: TokenFile | None = None
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8090"
    allowed_hosts: tuple[Annotated[str, AfterValidator(check_name)], ...] = ()
    storage: FilePath = Path("coordinator-data")
    command: Annotated[tuple[str, ...], AfterValidator(_runnable)] = ()
    time_limit: PositiveDurationField = 6 * HOUR
    kill_grace: PositiveDurationField = 10 * SECOND
    max_parallel: int = Field(default=4, ge=1, le=1000)
    log_limit: int = Field(default=1_048_576, ge=1024)
    retention: PositiveDurationField = 90 * DAY
    tls: TlsConfig | None = None
    bridge_url: Annotated[str, AfterValidator(_http_url)] | None = None
    bridge_http_config: SinkHttpConfig = Field(default_factory=SinkHttpConfig)
    _base_dir: Path = PrivateAttr(default=Path())

    @property
    def base_dir(self) -> Path:
        """Directory that paths in `bridge_http_config` are relative to."""
        return self._base_dir

    def model_post_init(self, context: Any, /) -> None:
        """Store the base directory of the validation context."""
        self._base_dir = Path((context or {}).get("base_dir", "."))

    def secrets(self) -> tuple[str, ...]:
        """Return the signing secrets currently in the file, one per line. Raises ValueError."""
        return tuple(_text_of(self.secret_file).split()) if self.secret_file else ()

    def token(self) -> str | None:
        """Return the bearer token currently in its file. Raises ValueError."""
        return _text_of(self.token_file) if self.token_file else None


def load_config(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> CoordinatorConfig:
    """Return the configuration of a file (or the defaults) overridden by flags. Raises ConfigError with every mistake.

    overrides: values by key, None = not given; relative paths in them are relative to the working directory.
    """
    document = read(file) if file else Document("flags")
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if "storage" in given:
        given["storage"] = str(Path.cwd() / given["storage"])
    values = {} if document.value is None else document.value
    if isinstance(values, dict):
        values = {**values, **given}
        document.lines |= {(key,): 0 for key in given}  # no line of the file
    base_dir = file.parent if file else Path()
    config = checked(CoordinatorConfig, values, document, (), {"base_dir": base_dir})
    if config is None or document.problems:
        raise ConfigError(document.problems)
    return config
