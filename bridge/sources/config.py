"""`prometheus` block of bridge.yml."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from bridge.domain.errors import ConfigError, Problem
from bridge.net.cloud_config import AzureAd, GoogleIam, SigV4
from bridge.net.hosts import is_http_url
from bridge.net.http_config import HeaderValues, HttpConfig, at_most_one
from bridge.sources.back_ends import BACK_ENDS, BackEnd, Flavor


def server_url(url: str) -> str:
    """Return the URL of a server without a trailing slash. Raises ValueError."""
    if not is_http_url(url):
        raise ValueError(
            "must be the http or https URL of a Prometheus-compatible server, such as http://localhost:9090"
        )
    parts = urlsplit(url)
    if parts.username or parts.password:
        raise ValueError("must not contain a user or password; use basic_auth")
    if parts.query or parts.fragment:
        raise ValueError("must not have a query or fragment; only scheme, host and path prefix")
    return url.rstrip("/")


ServerUrl = Annotated[str, AfterValidator(server_url)]


def url_of_flag(flag: str, url: str) -> str:
    """Return the URL of a server that an option of the command line names. Raises ConfigError."""
    try:
        return server_url(url)
    except ValueError as error:
        raise ConfigError([Problem(flag, 0, "", str(error))]) from None


class PrometheusConfig(HttpConfig):
    """Server that is queried: its `url`, and at the same level the keys of prometheus.yml for HTTP clients.

    - `flavor`: kind of server behind the URL: determines query parameters, the tenant header and advice on errors
    - `tenant`: value of the tenant header of this flavor
    - `partial_response`: whether the server may answer although some of its storage nodes do not respond
    - `sigv4`, `azuread`, `google_iam`: as in `remote_write` of prometheus.yml
    - `max_samples`: range queries are split so that each returns about this many samples at most
    - `max_answer_bytes`: larger answers are refused
    """

    url: ServerUrl
    flavor: Flavor = "prometheus"
    tenant: str = ""
    partial_response: bool | None = None
    sigv4: SigV4 | None = None
    azuread: AzureAd | None = None
    google_iam: GoogleIam | None = None
    max_samples: Annotated[int, Field(ge=1_000)] = 500_000
    max_answer_bytes: Annotated[int, Field(ge=65_536)] = 256 * 1024 * 1024

    @model_validator(mode="after")
    def _fits_the_flavor(self) -> Self:
        ways = ("basic_auth", "authorization", "oauth2", "bearer_token", "bearer_token_file")
        at_most_one(
            sigv4=self.sigv4 is not None, azuread=self.azuread is not None, google_iam=self.google_iam is not None,
            **{way: bool(getattr(self, way)) for way in ways},
        )  # fmt: skip
        kind = BACK_ENDS[self.flavor]
        if self.tenant and not kind.tenant_header:
            named = [name for name, item in BACK_ENDS.items() if item.tenant_header]
            raise ValueError(f"tenant requires flavor {' or '.join(named)}; {kind.tenants}")
        if self.tenant and kind.tenant_header.lower() in {name.lower() for name in self.http_headers}:
            raise ValueError(f"tenant and http_headers both set {kind.tenant_header}")
        if self.partial_response is not None and not kind.partial:
            raise ValueError(
                f"partial_response cannot be combined with flavor {self.flavor}, which never answers in part"
            )
        return self

    @property
    def back_end(self) -> BackEnd:
        """Parameters and headers that the flavor needs."""
        return BACK_ENDS[self.flavor]

    @property
    def http(self) -> HttpConfig:
        """HTTP settings with the tenant's header."""
        if not self.tenant:
            return self
        headers = {**self.http_headers, self.back_end.tenant_header: HeaderValues(values=(self.tenant,))}
        return self.model_copy(update={"http_headers": headers})
