"""The web config file, exporter-toolkit's: TLS and basic auth; read again when it changes."""

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
_MAKE_ONE = "make one with: htpasswd -nBC 10 USER"
CHECK_MOST = 2.0  # seconds
_ALWAYS, _NEVER, _MEASURED = 12, 17, 6  # bcrypt costs: taken everywhere; refused above; that is measured
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
            raise ValueError(f"{value} takes a certificate without checking it; write RequireAndVerifyClientCert")
        return value

    @model_validator(mode="after")
    def _client_ca(self) -> Self:
        if self.client_auth_type != "NoClientCert" and not self.client_ca_file:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        if self.client_ca_file and self.client_auth_type == "NoClientCert":
            raise ValueError("client_ca_file is not used unless client_auth_type is RequireAndVerifyClientCert")
        return self


def _user(name: str) -> str:
    if ":" in name or not name:
        raise ValueError(f"{name!r} is not a user name: basic auth has no way to send it")
    return name


def _hash(text: str) -> str:
    """Refuse what is not a bcrypt hash, or would keep everybody who signs in waiting."""
    found = _BCRYPT.fullmatch(text)
    if found is None:
        raise ValueError(f"is not a bcrypt hash; {_MAKE_ONE}")
    if not affordable(int(found[1])):
        raise ValueError(f"bcrypt's cost {found[1]} takes more than {CHECK_MOST:g} s for one sign-in here; {_MAKE_ONE}")
    return text


def affordable(cost: int) -> bool:
    """Return whether one check takes at most CHECK_MOST seconds; measured only where it depends on the machine."""
    if cost <= _ALWAYS or cost > _NEVER:
        return cost <= _ALWAYS
    return _seconds_of_a_check() * 2.0 ** (cost - _MEASURED) <= CHECK_MOST


@functools.cache
def _seconds_of_a_check() -> float:
    """Processor time at cost _MEASURED, the least of three: a busy machine refuses no file."""
    times = []
    for _ in range(3):
        began = time.thread_time()
        bcrypt.hashpw(b"", bcrypt.gensalt(_MEASURED))
        times.append(time.thread_time() - began)
    return min(times)


class WebConfig(_Part):
    """The web config file."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[Annotated[str, AfterValidator(_user)], Annotated[str, AfterValidator(_hash)]] = {}

    @property
    def client_certificates(self) -> bool:
        """Whether only clients with a certificate of ours get through."""
        tls = self.tls_server_config
        return tls is not None and tls.client_auth_type == "RequireAndVerifyClientCert"

    @property
    def protects(self) -> bool:
        """Whether strangers are kept out."""
        return bool(self.basic_auth_users) or self.client_certificates


class _Loader(yaml.SafeLoader):
    """Safe, and a key that is there twice is an error: of two hashes of a user one would be lost silently."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key.value!r} is there twice", key.start_mark
                )  # fmt: skip
            seen.add(str(key.value))
        return super().construct_mapping(node, deep)


def load_web_config(path: Path | None) -> WebConfig:
    """The checked file; an empty one for no file. ConfigError with every problem."""
    if path is None:
        return WebConfig()
    node, value = _read(path)
    try:
        return WebConfig.model_validate(value)
    except ValidationError as error:
        raise ConfigError([_problem(path, node, dict(item)) for item in error.errors(include_url=False)]) from None


def _read(path: Path) -> tuple[yaml.Node, Any]:
    """The file as YAML, with the places of its lines. One that holds nothing was emptied, or cut off."""
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
        message, hint = "holds nothing", "write {} to serve without TLS and users, or leave --web.config.file out"
        raise ConfigError([Problem(str(path), 0, "", message, hint)])
    return node, value


def _problem(path: Path, node: yaml.Node, item: dict[str, Any]) -> Problem:
    where = [str(part) for part in item["loc"] if part != "[key]"]
    line = _line(node, where)
    if item["type"] != "extra_forbidden":
        return Problem(str(path), line, ".".join(where), item["msg"].removeprefix("Value error, "))
    part: type[BaseModel] = TlsServer if where[:-1] else WebConfig
    known = list(part.model_fields)
    near = difflib.get_close_matches(where[-1], known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return Problem(str(path), line, ".".join(where), "is not known", hint)


def _line(node: yaml.Node, where: list[str]) -> int:
    """The line of the key at `where`, or of the last one on the way to it that is there."""
    line = node.start_mark.line + 1
    for name in where:
        found = [(key, value) for key, value in node.value if key.value == name] if _is_mapping(node) else []
        if not found:
            break
        line, node = found[0][0].start_mark.line + 1, found[0][1]
    return line


def _is_mapping(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode)


def stamp(*paths: Path) -> tuple[object, ...]:
    """What differs when a file was changed or exchanged; a missing file is its own stamp."""
    found: list[object] = []
    for path in paths:
        try:
            status = path.stat()
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


class WebConfigFile:
    """The file as it is now. One that became wrong is logged once, and what was in force before stays."""

    def __init__(self, path: Path | None, config: WebConfig) -> None:
        self._path = path
        self._config = config
        self._seen: tuple[object, ...] = ()  # so the first use reads it again: it may have changed since `config`

    def current(self) -> WebConfig:
        """Costs one stat when nothing changed."""
        if self._path is None:
            return self._config
        found = stamp(self._path)
        if found != self._seen:
            self._seen = found
            try:
                self._config = self._load(self._path)
            except ConfigError as error:
                log.error("web config file cannot be used, the former one stays in force", extra={"error": str(error)})  # noqa: TRY400 - says it all
        return self._config

    def _load(self, path: Path) -> WebConfig:
        """A file that lost its users was cut off on the way: the door stays shut until somebody starts it so."""
        config = load_web_config(path)
        if self._config.basic_auth_users and not config.basic_auth_users:
            message, hint = "has no users any more", "a restart would serve without them"
            raise ConfigError([Problem(str(path), 0, "basic_auth_users", message, hint)])
        return config
