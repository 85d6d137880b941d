"""Coordinator configuration: coordinator.yml, and the flags that override it."""

from __future__ import annotations

import difflib
import ipaddress
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    ValidationInfo,
)

from bridge.coordinator.body import path as dotted
from bridge.domain.errors import ConfigError, Problem
from bridge.domain.times import DAY, HOUR, SECOND, Duration, parse_duration
from bridge.net.files import read_text, readable
from bridge.net.hosts import check_name
from bridge.net.http_config import SinkHttpConfig
from bridge.net.signature import check_secret


def _duration(value: object) -> object:
    """Parse a duration as in Prometheus. Raises ValueError for a bare number, whose unit is unknown."""
    if isinstance(value, str):
        return parse_duration(value)
    if isinstance(value, int) and not isinstance(value, bool) and value != 0:
        raise ValueError(f'a duration needs a unit, for example "{value}s"')
    return value


def _beside_the_file(value: Path, info: ValidationInfo) -> Path:
    """Resolve a path relative to the directory of the configuration file."""
    return Path((info.context or {}).get("base_dir", ".")) / value


def _http_url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError("must be an http:// or https:// URL with a host")
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
DurationField = Annotated[Duration, BeforeValidator(_duration), Field(gt=0)]
FilePath = Annotated[Path, AfterValidator(_beside_the_file)]
SecretFile = Annotated[FilePath, AfterValidator(_holds_a_secret)]
TokenFile = Annotated[FilePath, AfterValidator(_holds_a_token)]
TlsFile = Annotated[FilePath, AfterValidator(_readable)]


class TlsConfig(BaseModel):
    """Certificate and key to serve HTTPS."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    cert_file: TlsFile
    key_file: TlsFile


class CoordinatorConfig(BaseModel):
    """Configuration of the coordinator. Durations in ms; paths absolute or relative to the working directory."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    secret_file: SecretFile | None = None
    token_file: TokenFile | None = None
    listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8090"
    allowed_hosts: tuple[Annotated[str, AfterValidator(check_name)], ...] = ()
    storage: FilePath = Path("coordinator-data")
    command: Annotated[tuple[str, ...], AfterValidator(_runnable)] = ()
    time_limit: DurationField = 6 * HOUR
    kill_grace: DurationField = 10 * SECOND
    max_parallel: int = Field(default=4, ge=1, le=1000)
    log_limit: int = Field(default=1_048_576, ge=1024)
    retention: DurationField = 90 * DAY
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


def is_loopback(host: str) -> bool:
    """Return whether only this machine can connect; host names other than localhost count as public."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def load_config(file: Path | None = None, overrides: Mapping[str, Any] | None = None) -> CoordinatorConfig:
    """Return the configuration of a file (or the defaults) overridden by flags. Raises ConfigError with every mistake.

    overrides: values by key, None = not given; relative paths in them are relative to the working directory.
    """
    values, lines = _read(file) if file else ({}, {})
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if "storage" in given:
        given["storage"] = Path.cwd() / given["storage"]
    base_dir = file.parent if file else Path()
    try:
        return CoordinatorConfig.model_validate({**values, **given}, context={"base_dir": base_dir})
    except ValidationError as error:
        name = str(file) if file else "flags"
        raise ConfigError([_problem(name, lines, item) for item in error.errors()]) from None


Lines = dict[tuple[int | str, ...], int]


def _problem(file: str, lines: Lines, item: Any) -> Problem:
    key_path = tuple(item["loc"])
    line = next((lines[key_path[:size]] for size in range(len(key_path), 0, -1) if key_path[:size] in lines), 0)
    if item["type"] == "extra_forbidden":
        return Problem(file, line, dotted(key_path), "unknown key", _did_you_mean(key_path))
    return Problem(file, line, dotted(key_path), item["msg"].removeprefix("Value error, "))


def _did_you_mean(key_path: tuple[int | str, ...]) -> str:
    parents: dict[tuple[int | str, ...], type[BaseModel]] = {
        (): CoordinatorConfig,
        ("tls",): TlsConfig,
        ("bridge_http_config",): SinkHttpConfig,
    }
    known = list(parents[key_path[:-1]].model_fields) if key_path[:-1] in parents else []
    close = difflib.get_close_matches(str(key_path[-1]), known, n=1)
    return f'did you mean "{close[0]}"?' if close else ""


def _read(file: Path) -> tuple[dict[str, Any], Lines]:
    """Return the mapping in the file, and the line of every key."""
    try:
        text = read_text(file)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError([Problem(str(file), 0, "", f"cannot be read: {error.strerror}")]) from None
    except UnicodeDecodeError:
        raise ConfigError([Problem(str(file), 0, "", "is not UTF-8")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(file), 0, "", "is nested too deeply")]) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        message = getattr(error, "problem", None) or str(error)
        raise ConfigError([Problem(str(file), mark.line + 1 if mark else 0, "", f"not YAML: {message}")]) from None
    if values is None:
        return {}, {}
    if not isinstance(values, dict) or not isinstance(node, yaml.MappingNode):
        raise ConfigError([Problem(str(file), 1, "", "must be a mapping of keys to values")])
    lines: Lines = {}
    duplicates: list[Problem] = []
    _walk(node, (), lines, duplicates, str(file))
    if duplicates:
        raise ConfigError(duplicates)
    return {str(key): value for key, value in values.items()}, lines


def _walk(node: yaml.Node, key_path: tuple[int | str, ...], lines: Lines, problems: list[Problem], file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            child = (*key_path, key.value)
            if child in lines:
                problems.append(Problem(file, key.start_mark.line + 1, dotted(child), "duplicate key"))
            lines[child] = key.start_mark.line + 1
            _walk(value, child, lines, problems, file)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*key_path, index)] = value.start_mark.line + 1
            _walk(value, (*key_path, index), lines, problems, file)
