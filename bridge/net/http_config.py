"""HTTP client settings, with the keys of prometheus.yml and alertmanager.yml."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import CoreSchema, core_schema

from bridge.net.redact import SECRET
from bridge.net.tls import Limit, check_versions

RESERVED_HEADERS = frozenset(
    {
        "authorization", "host", "content-encoding", "content-length", "content-type", "user-agent", "connection",
        "keep-alive", "proxy-authenticate", "proxy-authorization", "www-authenticate", "accept-encoding",
        "transfer-encoding", "te", "trailer", "upgrade", "x-prometheus-remote-write-version",
        "x-prometheus-remote-read-version", "x-prometheus-scrape-timeout-seconds",
        "x-amz-date", "x-amz-security-token", "x-amz-content-sha256",
    }
)  # fmt: skip


class Secret(str):
    """String that prints as `<secret>`; `reveal()` returns its value."""

    __slots__ = ()

    def reveal(self) -> str:
        """Return the secret value."""
        return str.__str__(self)

    def __repr__(self) -> str:
        return f"'{SECRET}'"

    def __str__(self) -> str:
        return SECRET

    def __format__(self, spec: str) -> str:
        return format(SECRET, spec)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        hidden = core_schema.plain_serializer_function_ser_schema(lambda _: SECRET)
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema(), serialization=hidden)

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {**handler(schema), "format": "password"}


def revealed(text: str) -> str:
    """Return the plain string of a Secret or str."""
    return text.reveal() if isinstance(text, Secret) else text


def _proxy(value: str) -> str:
    if value and not value.startswith(("http://", "https://")):
        raise ValueError("must be the http or https URL of a proxy")
    return value


ProxyUrl = Annotated[str, AfterValidator(_proxy)]


class _Part(BaseModel):
    """Mapping of a file. elsewhere: keys of Prometheus that the bridge does not accept -> what to write instead."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})


def _refs(*names: str) -> Mapping[str, str]:
    """Return what to write instead of `NAME_ref`, which names an entry of a secret manager."""
    return MappingProxyType(
        {f"{name}_ref": f"the bridge has no secret manager; write the secret to a file: {name}_file" for name in names}
    )


def at_most_one(**given: object) -> None:
    """Raise ValueError if more than one of the named settings is set."""
    named = [name for name, value in given.items() if value]
    if len(named) > 1:
        raise ValueError(f"at most one of {', '.join(named)} may be set")


class BasicAuth(_Part):
    """`basic_auth`: user name and password, each inline or read from a file at every request."""

    elsewhere = _refs("username", "password")
    username: str = ""
    username_file: str = ""
    password: Secret = Secret("")
    password_file: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        at_most_one(username=self.username, username_file=self.username_file)
        at_most_one(password=self.password, password_file=self.password_file)
        return self


class Authorization(_Part):
    """`authorization`: scheme and credential; the credential is inline, or read from a file at every request."""

    elsewhere = _refs("credentials")
    type: str = "Bearer"
    credentials: Secret = Secret("")
    credentials_file: str = ""

    @model_validator(mode="after")
    def _one_credential(self) -> Self:
        at_most_one(credentials=self.credentials, credentials_file=self.credentials_file)
        if self.scheme.lower() == "basic":
            raise ValueError("for type Basic use basic_auth")
        return self

    @property
    def scheme(self) -> str:
        """Scheme of the header; Bearer unless `type` names another."""
        return self.type.strip() or "Bearer"


class TlsConfig(_Part):
    """`tls_config`: certificate authorities, client certificate (inline or in files), TLS versions, server name."""

    elsewhere = _refs("ca", "cert", "key")
    ca: str = ""
    ca_file: str = ""
    cert: str = ""
    cert_file: str = ""
    key: Secret = Secret("")
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False
    min_version: Limit = ""
    max_version: Limit = ""

    @model_validator(mode="after")
    def _pair(self) -> Self:
        at_most_one(ca=self.ca, ca_file=self.ca_file)
        at_most_one(cert=self.cert, cert_file=self.cert_file)
        at_most_one(key=self.key, key_file=self.key_file)
        if bool(self.cert or self.cert_file) != bool(self.key or self.key_file):
            raise ValueError("cert_file and key_file must be set together")
        check_versions(self.min_version, self.max_version)
        return self


class ProxyConfig(_Part):
    """Keys of a proxy, beside the others."""

    proxy_url: ProxyUrl = ""
    no_proxy: str = ""
    proxy_from_environment: bool = False
    proxy_connect_header: Mapping[str, tuple[Secret, ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _one_proxy(self) -> Self:
        at_most_one(proxy_url=self.proxy_url, proxy_from_environment=self.proxy_from_environment)
        if self.no_proxy and self.proxy_from_environment:
            raise ValueError("no_proxy requires proxy_url; proxy_from_environment reads NO_PROXY")
        if self.no_proxy and not self.proxy_url:
            raise ValueError("no_proxy requires proxy_url")
        if self.proxy_connect_header and not (self.proxy_url or self.proxy_from_environment):
            raise ValueError("proxy_connect_header requires proxy_url or proxy_from_environment")
        return self


_GRANT = "the bridge requests tokens with client_id and client_secret only (grant client_credentials)"


class OAuth2(ProxyConfig):
    """`oauth2`: client credentials grant; the token is used until shortly before it expires."""

    elsewhere = MappingProxyType(
        {
            **_refs("client_secret"),
            **dict.fromkeys(
                ("grant_type", "client_certificate_key", "client_certificate_key_file", "client_certificate_key_id",
                 "signature_algorithm", "iss", "audience", "claims"),
                _GRANT,
            ),
        }
    )  # fmt: skip
    client_id: str
    client_secret: Secret = Secret("")
    client_secret_file: str = ""
    token_url: str
    scopes: tuple[str, ...] = ()
    endpoint_params: Mapping[str, Secret] = Field(default_factory=dict)
    tls_config: TlsConfig = TlsConfig()

    @model_validator(mode="after")
    def _one_secret(self) -> Self:
        at_most_one(client_secret=self.client_secret, client_secret_file=self.client_secret_file)
        if not self.client_id:
            raise ValueError("client_id must not be empty")
        if not self.token_url.startswith(("http://", "https://")):
            raise ValueError("token_url must be an http or https URL")
        return self


class HeaderValues(_Part):
    """Entry of `http_headers`: values that are shown, secret values, or files that contain a value each."""

    values: tuple[str, ...] = ()
    secrets: tuple[Secret, ...] = ()
    files: tuple[str, ...] = ()


class HttpConfig(ProxyConfig):
    """Settings common to every HTTP client of the bridge. `*_file` paths are relative to the configuration file.

    bearer_token, bearer_token_file: older forms of `authorization`. enable_http2: taken, and without effect: the
    bridge speaks HTTP/1.1.
    """

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    oauth2: OAuth2 | None = None
    bearer_token: Secret = Secret("")
    bearer_token_file: str = ""
    tls_config: TlsConfig = TlsConfig()
    follow_redirects: bool = True
    enable_http2: bool = True
    http_headers: Mapping[str, HeaderValues] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        at_most_one(
            basic_auth=self.basic_auth, authorization=self.authorization, oauth2=self.oauth2,
            bearer_token=self.bearer_token, bearer_token_file=self.bearer_token_file,
        )  # fmt: skip
        seen: set[str] = set()
        for name in self.http_headers:
            if name.lower() in RESERVED_HEADERS:
                raise ValueError(f"http_headers may not set {name}: it is reserved")
            if name.lower() in seen:
                raise ValueError(f"http_headers sets {name} twice; header names ignore case")
            seen.add(name.lower())
        return self

    @property
    def bearer(self) -> Authorization | None:
        """`authorization`, or what the older keys say."""
        if not (self.bearer_token or self.bearer_token_file):
            return self.authorization
        return Authorization(credentials=self.bearer_token, credentials_file=self.bearer_token_file)


class SinkHttpConfig(HttpConfig):
    """HTTP settings of sinks. Redirects are never followed: the POST could become a GET that is answered with 200."""

    follow_redirects: Annotated[bool, WithJsonSchema({"const": False}, mode="validation")] = False

    @model_validator(mode="after")
    def _no_redirects(self) -> Self:
        if self.follow_redirects:
            raise ValueError("follow_redirects is not allowed here: a redirected POST becomes a GET and is lost")
        return self
