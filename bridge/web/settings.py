"""Where and how the web server listens; the web config file is exporter-toolkit's."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

import bcrypt
import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from bridge.domain.errors import ConfigError, Problem


@dataclass(frozen=True, slots=True)
class WebSettings:
    """listen: HOST:PORT. external_url: where people reach the page."""

    listen: str = "127.0.0.1:9095"
    external_url: str = ""
    web_config_file: Path | None = None

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """Whether only this machine reaches the server."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def prefix(self) -> str:
        """The path of the external URL, without a slash at its end."""
        return urlsplit(self.external_url).path.rstrip("/")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class TlsServer(_Part):
    """`tls_server_config`."""

    cert_file: str
    key_file: str
    client_auth_type: Literal["NoClientCert", "RequireAndVerifyClientCert", "VerifyClientCertIfGiven"] = "NoClientCert"
    client_ca_file: str = ""
    min_version: Literal["TLS12", "TLS13"] = "TLS12"

    @model_validator(mode="after")
    def _client_ca(self) -> Self:
        if self.client_auth_type != "NoClientCert" and not self.client_ca_file:
            raise ValueError(f"client_auth_type {self.client_auth_type} needs client_ca_file")
        return self


class WebConfig(_Part):
    """The web config file."""

    tls_server_config: TlsServer | None = None
    basic_auth_users: dict[str, str] = {}

    @model_validator(mode="after")
    def _hashes(self) -> Self:
        for user, hashed in self.basic_auth_users.items():
            try:
                bcrypt.checkpw(b"", hashed.encode())
            except ValueError:
                raise ValueError(
                    f"basic_auth_users.{user}: is not a bcrypt hash; make one with htpasswd -nBC 10"
                ) from None
        return self

    @property
    def protects(self) -> bool:
        """Whether strangers are kept out."""
        client = self.tls_server_config is not None
        certificates = client and self.tls_server_config.client_auth_type == "RequireAndVerifyClientCert"  # type: ignore[union-attr]
        return bool(self.basic_auth_users) or certificates


def load_web_config(path: Path | None) -> WebConfig:
    """The checked file, or an empty one. ConfigError with every problem."""
    if path is None:
        return WebConfig()
    try:
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        return WebConfig.model_validate(value or {})
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([Problem(str(path), 0, "", f"cannot be read: {error}")]) from None
    except ValidationError as error:
        problems = [
            Problem(str(path), 0, ".".join(map(str, item["loc"])), item["msg"].removeprefix("Value error, "))
            for item in error.errors(include_url=False)
        ]
        raise ConfigError(problems) from None


def server_context(config: TlsServer, base_dir: Path) -> ssl.SSLContext:
    """The TLS context of the server. ConfigError names a file that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3 if config.min_version == "TLS13" else ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(base_dir / config.cert_file, base_dir / config.key_file)
        if config.client_ca_file:
            context.load_verify_locations(base_dir / config.client_ca_file)
    except OSError as error:
        raise ConfigError([Problem(str(base_dir), 0, "tls_server_config", f"cannot be used: {error}")]) from None
    modes = {"RequireAndVerifyClientCert": ssl.CERT_REQUIRED, "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL}
    context.verify_mode = modes.get(config.client_auth_type, ssl.CERT_NONE)
    return context
