"""Authorization of requests by cloud providers: Amazon's signatures, tokens of Microsoft Entra and of Google."""

from __future__ import annotations

import functools
import importlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import requests

from bridge.net.cloud_config import AzureAd, GoogleIam, SigV4
from bridge.net.credentials import Authorizer, CredentialError, TokenCache, read_secret, token_of, usable
from bridge.net.http_config import HttpConfig
from bridge.net.session import TOKEN_TIME, open_session, request_token

_AUTHORITIES = {
    # cloud -> authority, scope of queries
    "AzurePublic": ("https://login.microsoftonline.com", "https://prometheus.monitor.azure.com/.default"),
    "AzureChina": ("https://login.chinacloudapi.cn", "https://prometheus.monitor.azure.cn/.default"),
    "AzureGovernment": ("https://login.microsoftonline.us", "https://prometheus.monitor.azure.us/.default"),
}
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MACHINE = "http://169.254.169.254"  # metadata service of a machine in Azure
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/monitoring.read"


class MissingExtraError(Exception):
    """Optional package that a configuration needs."""


def _package(name: str, extra: str, key: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError:
        text = f"{key} requires the package {name.partition('.')[0]}: pip install 'retrain-bridge[{extra}]'"
        raise MissingExtraError(text) from None


def proxies_of(config: HttpConfig) -> HttpConfig:
    """Return the settings for a token server: the proxy of the requests, and nothing else of them."""
    return HttpConfig(
        proxy_url=config.proxy_url, no_proxy=config.no_proxy, proxy_from_environment=config.proxy_from_environment,
        proxy_connect_header=config.proxy_connect_header,
    )  # fmt: skip


# ------------------------------------------------------------ Amazon


class SigV4Signer(Authorizer):
    """Signer of requests by AWS' own library, with its chain of credentials. Raises MissingExtraError, ValueError."""

    headers = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")

    def __init__(self, config: SigV4) -> None:
        self._auth = _package("botocore.auth", "aws", "sigv4")
        self._request = _package("botocore.awsrequest", "aws", "sigv4")
        self._errors = _package("botocore.exceptions", "aws", "sigv4")
        self._config = config
        self._session: Any = None
        try:
            self._region = config.region or self._opened().get_config_variable("region")
        except self._errors.BotoCoreError as error:
            raise ValueError(str(error)) from None
        if not self._region:
            raise ValueError("sigv4.region is not set, nor is a region in AWS' configuration or environment")
        self._credentials: Any = None

    def _opened(self) -> Any:
        """Return a session, which reads AWS' files once."""
        if self._session is None:
            settings = _package("botocore.config", "aws", "sigv4").Config(
                connect_timeout=5, read_timeout=TOKEN_TIME, retries={"max_attempts": 1}
            )
            session = _package("botocore.session", "aws", "sigv4").Session(profile=self._config.profile or None)
            session.set_default_client_config(settings)
            if self._config.access_key:
                session.set_credentials(self._config.access_key, self._config.secret_key.reveal())
            self._session = session
        return self._session

    def authorize(self, request: requests.PreparedRequest) -> None:
        """Sign the request. Its query is written as AWS writes it before it computes a signature."""
        url = urlsplit(str(request.url))
        query = urlencode(sorted(parse_qsl(url.query, keep_blank_values=True)), quote_via=quote, safe="~")
        request.url = urlunsplit(url._replace(query=query))
        body = request.body if isinstance(request.body, bytes | str) else b""
        signed = self._request.AWSRequest(method=request.method, url=request.url, data=body)
        try:
            frozen = self._found().get_frozen_credentials()
            self._auth.SigV4Auth(frozen, self._config.service, self._region).add_auth(signed)
        except (self._errors.BotoCoreError, self._errors.ClientError) as error:
            raise CredentialError(f"no AWS credentials: {error}") from None
        for name in self.headers:
            if name in signed.headers:
                request.headers[name] = usable(name, signed.headers[name])

    def forget(self) -> None:
        """Read the credentials again at the next request: the server refused them."""
        self._session = self._credentials = None

    def _found(self) -> Any:
        if self._credentials is None:
            found = self._opened().get_credentials()
            if found is None:
                raise CredentialError(
                    "no AWS credentials: set sigv4.profile, access_key or AWS_ACCESS_KEY_ID, or give the host a role"
                )
            self._credentials = self._assumed(found) if self._config.role_arn else found
        return self._credentials

    def _assumed(self, source: Any) -> Any:
        """Return the credentials of `role_arn`, which renew themselves."""
        credentials = _package("botocore.credentials", "aws", "sigv4")
        arguments = {"ExternalId": self._config.external_id} if self._config.external_id else {}
        fetcher = credentials.AssumeRoleCredentialFetcher(
            functools.partial(self._opened().create_client, region_name=self._region), source, self._config.role_arn,
            extra_args=arguments,
        )  # fmt: skip
        return credentials.DeferredRefreshableCredentials(fetcher.fetch_credentials, "assume-role")


# ------------------------------------------------------------ Microsoft


class AzureToken(Authorizer):
    """Bearer token of Microsoft Entra. http: proxy and TLS for the token server."""

    headers = ("Authorization",)

    def __init__(self, config: AzureAd, http: HttpConfig, base_dir: Path) -> None:
        self._config = config
        self._http = http
        self._base_dir = base_dir
        self._tokens = TokenCache()
        cloud = config.cloud
        known = _AUTHORITIES[cloud] if isinstance(cloud, str) else (cloud.aad_endpoint, cloud.token_audience)
        self._authority, self._scope = known[0].rstrip("/"), config.scope or known[1]

    def authorize(self, request: requests.PreparedRequest) -> None:
        """Add the token, fetched again shortly before it expires."""
        request.headers["Authorization"] = usable("Authorization", f"Bearer {self._tokens.get(self._fetch)}")

    def forget(self) -> None:
        """Drop the token: the server refused it."""
        self._tokens.forget()

    def _fetch(self) -> tuple[str, float]:
        config = self._config
        if config.managed_identity is not None:
            return self._of_machine(config.managed_identity.client_id)
        form = {"grant_type": "client_credentials", "scope": self._scope}
        if config.oauth is not None:
            tenant = config.oauth.tenant_id
            form |= {"client_id": config.oauth.client_id, "client_secret": config.oauth.client_secret.reveal()}
        else:
            assert config.workload_identity is not None  # noqa: S101 - checked by the configuration
            workload = config.workload_identity
            tenant = workload.tenant_id
            assertion = read_secret(workload.token_file_path, self._base_dir)
            form |= {
                "client_id": workload.client_id,
                "client_assertion_type": _ASSERTION,
                "client_assertion": assertion,
            }
        url = f"{self._authority}/{tenant}/oauth2/v2.0/token"
        return token_of(request_token(self._http, self._base_dir, url, form=form), url)

    def _of_machine(self, client_id: str) -> tuple[str, float]:
        address = os.environ.get("AZURE_POD_IDENTITY_AUTHORITY_HOST", _MACHINE).rstrip("/")
        query = {"api-version": "2018-02-01", "resource": self._scope.removesuffix("/.default")}
        query |= {"client_id": client_id} if client_id else {}
        url = f"{address}/metadata/identity/oauth2/token?{urlencode(query)}"
        body = request_token(HttpConfig(), self._base_dir, url, headers={"Metadata": "true"})
        return token_of(body, url)


# ------------------------------------------------------------ Google


class GoogleToken(Authorizer):
    """Bearer token of Google, by its own library: a service account's key, or the application default credentials.

    http: proxy for the token server. Raises MissingExtraError.
    """

    headers = ("Authorization",)

    def __init__(self, config: GoogleIam, http: HttpConfig, base_dir: Path) -> None:
        self._auth = _package("google.auth", "google", "google_iam")
        self._errors = _package("google.auth.exceptions", "google", "google_iam")
        transport = _package("google.auth.transport.requests", "google", "google_iam")
        self._file = str(base_dir / config.credentials_file) if config.credentials_file else ""
        session = open_session(http, base_dir)
        self._send = functools.partial(transport.Request(session), timeout=TOKEN_TIME)
        self._credentials: Any = None

    def authorize(self, request: requests.PreparedRequest) -> None:
        """Add the token, fetched again before it expires."""
        try:
            if self._credentials is None:
                self._credentials = self._found()
            if not self._credentials.valid:
                self._credentials.refresh(self._send)
        except (self._errors.GoogleAuthError, OSError, ValueError) as error:
            raise CredentialError(f"no token of Google: {error}") from None
        request.headers["Authorization"] = usable("Authorization", f"Bearer {self._credentials.token}")

    def forget(self) -> None:
        """Read the credentials again at the next request: the server refused the token."""
        self._credentials = None

    def _found(self) -> Any:
        if not self._file:
            return self._auth.default(scopes=[_GOOGLE_SCOPE], request=self._send)[0]
        accounts = _package("google.oauth2.service_account", "google", "google_iam")
        return accounts.Credentials.from_service_account_file(self._file, scopes=[_GOOGLE_SCOPE])
