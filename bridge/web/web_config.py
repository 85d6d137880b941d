"""The web config file, exporter-toolkit's: TLS and basic auth; read again when it changes."""

from __future__ import annotations

import difflib
import logging
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

from bridge.domain.errors import ConfigError, Problem
from bridge.net.files import read_text

log = logging.getLogger(__name__)

_BCRYPT = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")
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


class WebConfig(_Part):
    """The web config file."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[str, str] = {}

    @field_validator("basic_auth_users")
    @classmethod
    def _hashes(cls, users: dict[str, str]) -> dict[str, str]:
        for user, hashed in users.items():
            if ":" in user or not user:
                raise ValueError(f"{user!r} is not a user name: basic auth has no way to send it")
            if _BCRYPT.fullmatch(hashed) is None:
                raise ValueError(f"what {user!r} has is not a bcrypt hash; make one with: htpasswd -nBC 10 {user}")
        return users

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
    """The checked file, or an empty one. ConfigError with every problem."""
    if path is None:
        return WebConfig()
    try:
        value = yaml.load(read_text(path), _Loader)  # noqa: S506 - derived from SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise ConfigError([Problem(str(path), line, "", error.problem or "is not YAML")]) from None
    except RecursionError:
        raise ConfigError([Problem(str(path), 0, "", "is nested too deeply")]) from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        what = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {what}")]) from None
    try:
        return WebConfig.model_validate({} if value is None else value)
    except ValidationError as error:
        raise ConfigError([_problem(path, dict(item)) for item in error.errors(include_url=False)]) from None


def _problem(path: Path, item: dict[str, Any]) -> Problem:
    where = [str(part) for part in item["loc"]]
    if item["type"] != "extra_forbidden":
        return Problem(str(path), 0, ".".join(where), item["msg"].removeprefix("Value error, "))
    part: type[BaseModel] = TlsServer if where[:-1] else WebConfig
    known = list(part.model_fields)
    near = difflib.get_close_matches(where[-1], known, 1)
    hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
    return Problem(str(path), 0, ".".join(where), "is not known", hint)


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
                self._config = load_web_config(self._path)
            except ConfigError as error:
                log.error("web config file cannot be used, the former one stays in force", extra={"error": str(error)})  # noqa: TRY400 - says it all
        return self._config
