"""Web config file in the format of exporter-toolkit: TLS and basic auth; reloaded when it changes."""

from __future__ import annotations

import difflib
import functools
import logging
import re
import time
from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import bcrypt
import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from bridge.domain.errors import ConfigError, Problem
from bridge.net.files import read_text

log = logging.getLogger(__name__)

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
_HOW_TO = "create one with: htpasswd -nBC 10 USER"
CHECK_MOST = 2.0  # seconds
_ALWAYS, _NEVER, _MEASURED = 12, 17, 6  # bcrypt costs: accepted up to; refused above; used for the measurement
_NOT_VERIFIED = {"RequestClientCert", "RequireClientCert", "RequireAnyClientCert"}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TlsServer(_Part):
    """`tls_server_config`. Paths are relative to the file's folder."""

    cert_file: str
    key_file: str
    client_auth_type: Literal["NoClientCert", "VerifyClientCertIfGiven", "RequireAndVerifyClientCert"] = "NoClientCert"
    client_ca_file: str = ""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @field_validator("client_auth_type", mode="before")
    @classmethod
    def _verified(cls, value: object) -> object:
        if value in _NOT_VERIFIED:
            raise ValueError(f"{value} accepts certificates without verification; use RequireAndVerifyClientCert")
        return value

    @model_validator(mode="after")
    def _client_ca(self) -> Self:
        if self.client_auth_type != "NoClientCert" and not self.client_ca_file:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        if self.client_ca_file and self.client_auth_type == "NoClientCert":
            raise ValueError("client_ca_file has no effect unless client_auth_type is RequireAndVerifyClientCert")
        return self


def _user(name: str) -> str:
    if ":" in name or not name:
        raise ValueError(f"{name!r} is not a valid user name for basic auth: it is empty or contains a colon")
    return name


def _hash(text: str) -> str:
    """Return the hash. Raises ValueError if it is no bcrypt hash, or if one check of it takes too long."""
    match = _BCRYPT.fullmatch(text)
    if match is None:
        raise ValueError(f"is not a bcrypt hash; {_HOW_TO}")
    if not affordable(int(match[1])):
        raise ValueError(f"bcrypt cost {match[1]} takes more than {CHECK_MOST:g} s per sign-in on this host; {_HOW_TO}")
    return text


def affordable(cost: int) -> bool:
    """Return whether one check takes at most CHECK_MOST seconds; measured only if it depends on the host."""
    if cost <= _ALWAYS or cost > _NEVER:
        return cost <= _ALWAYS
    return _seconds_of_a_check() * 2.0 ** (cost - _MEASURED) <= CHECK_MOST


@functools.cache
def _seconds_of_a_check() -> float:
    """Return the CPU time of one check at cost _MEASURED: the minimum of three, so that load does not matter."""
    times = []
    for _ in range(3):
        start = time.thread_time()
        bcrypt.hashpw(b"", bcrypt.gensalt(_MEASURED))
        times.append(time.thread_time() - start)
    return min(times)


class WebConfig(_Part):
    """Content of the web config file. basic_auth_users: bcrypt hash by user name."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[Annotated[str, AfterValidator(_user)], Annotated[str, AfterValidator(_hash)]] = {}

    @property
    def client_certificates(self) -> bool:
        """True if only clients with a verified certificate can connect."""
        tls = self.tls_server_config
        return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"

    @property
    def protects(self) -> bool:
        """True if clients must authenticate."""
        return bool(self.basic_auth_users) or self.client_certificates


class _Loader(yaml.SafeLoader):
    """Safe loader that rejects duplicate keys: of two hashes for one user, one would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key.value!r}", key.start_mark
                )  # fmt: skip
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_web_config(path: Path | None) -> WebConfig:
    """Return the validated file; the defaults without a file. Raises ConfigError with every problem."""
    if path is None:
        return WebConfig()
    node, value = _read(path)
    try:
        return WebConfig.model_validate(value)
    except ValidationError as error:
        raise ConfigError([_problem(path, node, dict(item)) for item in error.errors(include_url=False)]) from None


def _read(path: Path) -> tuple[yaml.Node, Any]:
    """Return the YAML node, which has the line numbers, and its value. Raises ConfigError, also for an empty file."""
    try:
        loader = _Loader(read_text(path))
        node = loader.get_single_node()
        value = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError([Problem(str(path), line, "", error.problem or "is not YAML")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), 0, "", "is nested too deeply")]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {what}")]) from None
    if node is None or value is None:
        message, hint = "is empty", "write {} to serve without TLS and users, or omit --web.config.file"
        raise ConfigError([Problem(str(path), 0, "", message, hint)])
    return node, value


def _problem(path: Path, node: yaml.Node, item: dict[str, Any]) -> Problem:
    key_path = [str(part) for part in item["loc"] if part != "[key]"]
    line = _line(node, key_path)
    if item["type"] != "extra_forbidden":
        return Problem(str(path), line, ".".join(key_path), item["msg"].removeprefix("Value error, "))
    part: type[BaseModel] = TlsServer if key_path[:-1] else WebConfig
    valid = list(part.model_fields)
    near = difflib.get_close_matches(key_path[-1], valid, 1)
    hint = f"did you mean {near[0]}?" if near else f"valid keys: {', '.join(valid)}"
    return Problem(str(path), line, ".".join(key_path), "unknown key", hint)


def _line(node: yaml.Node, key_path: list[str]) -> int:
    """Return the line of the key at `key_path`, or of its nearest ancestor that exists."""
    line = node.start_mark.line + 1
    for name in key_path:
        entries = [(key, value) for key, value in node.value if key.value == name] if _is_mapping(node) else []
        if not entries:
            break
        line, node = entries[0][0].start_mark.line + 1, entries[0][1]
    return line


def _is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


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
