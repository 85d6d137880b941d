"""Credentials of cloud providers: AWS' chain and signatures, tokens of Microsoft Entra, missing packages."""

from __future__ import annotations

import importlib
import json
import os
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import requests

from bridge.net.cloud import AzureToken, MissingExtraError, SigV4Signer
from bridge.net.cloud_config import AzureAd, SigV4
from bridge.net.credentials import CredentialError
from bridge.net.http_config import HttpConfig, Secret
from tests.support import aws
from tests.support.receiver import Receiver, Reply

URL = "http://aps.test/workspaces/ws-1/api/v1/query"
ASSUMED = """<{name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><{name}Result><Credentials>
<AccessKeyId>AKROLE</AccessKeyId><SecretAccessKey>role/secret</SecretAccessKey><SessionToken>role/token</SessionToken>
<Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></{name}Result></{name}Response>"""


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials but those of the test."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "AZURE_"))]:
        monkeypatch.delenv(name)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def prepared(method: str = "GET", url: str = URL, data: bytes | None = None) -> requests.PreparedRequest:
    return requests.Request(method, url, data=data).prepare()


def refusal(request: requests.PreparedRequest, key: str, secret: str, token: str = "") -> str:
    headers = {name.lower(): str(value) for name, value in request.headers.items()} | {"host": "aps.test"}
    parts = urlsplit(str(request.url))
    body = request.body if isinstance(request.body, bytes) else b""
    return aws.refusal(
        str(request.method), f"{parts.path}?{parts.query}", headers, body,
        secrets={key: secret}, region="eu-west-1", token=token,
    )  # fmt: skip


def signer(**settings: Any) -> SigV4Signer:
    return SigV4Signer(SigV4.model_validate({"region": "eu-west-1", **settings}))


@pytest.mark.parametrize(
    ("method", "query", "body"),
    [
        ("GET", "?query=max+by+%28a%29+%28x%29+%3E+0.5&time=1795913790.123", None),
        ("GET", "?match[]=x&match[]=y&z=&b=%C3%BC~*", None),
        ("GET", "", None),
        ("POST", "", b"query=up&time=1"),
    ],
)
def test_signature_covers_what_is_sent(method: str, query: str, body: bytes | None) -> None:
    """Recomputed from the request by AWS' library and by hand; one changed byte is noticed."""
    request = prepared(method, URL + query, body)
    signer(access_key="AK1", secret_key="s3/cr+t").authorize(request)
    if "match" not in query:  # the vendor's class takes one value a name
        assert refusal(request, "AK1", "s3/cr+t") == ""
        assert "does not match" in refusal(request, "AK1", "other")
        request.url = str(request.url) + ("&" if query else "?") + "more=1"
        assert "does not match" in refusal(request, "AK1", "s3/cr+t")
    assert "+" not in urlsplit(str(request.url)).query
    sent = parse_qsl(urlsplit(str(request.url)).query, keep_blank_values=True)
    assert sorted(parse_qsl(query.removeprefix("?"), keep_blank_values=True)) == [
        item for item in sent if item[0] != "more"
    ]


def test_environment_gives_keys_and_region(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for every program that uses AWS."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKENV")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "env")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    request = prepared()
    SigV4Signer(SigV4()).authorize(request)
    assert refusal(request, "AKENV", "env") == ""


def test_role_of_a_service_account_is_assumed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in EKS: the token of the service account is exchanged for credentials, once."""
    (tmp_path / "token").write_text("web.identity.token")
    monkeypatch.setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/bridge")
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(tmp_path / "token"))
    answer = ASSUMED.format(name="AssumeRoleWithWebIdentity").encode()
    with Receiver(Reply(200, answer, {"Content-Type": "text/xml"})) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        made = signer()
        for request in (prepared(), prepared()):
            made.authorize(request)
            assert refusal(request, "AKROLE", "role/secret", "role/token") == ""
        (asked,) = sts.requests
    assert dict(parse_qsl(asked.body.decode()))["WebIdentityToken"] == "web.identity.token"


def test_role_arn_is_assumed_with_the_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """The external id goes with it."""
    answer = ASSUMED.format(name="AssumeRole").encode()
    with Receiver(Reply(200, answer, {"Content-Type": "text/xml"})) as sts:
        monkeypatch.setenv("AWS_ENDPOINT_URL_STS", sts.url)
        request = prepared()
        role = "arn:aws:iam::2:role/reader"
        signer(access_key="AK1", secret_key="s", role_arn=role, external_id="x1").authorize(request)
        assert refusal(request, "AKROLE", "role/secret", "role/token") == ""
        asked = dict(parse_qsl(sts.requests[0].body.decode()))
    assert (asked["RoleArn"], asked["ExternalId"]) == (role, "x1")


def test_missing_credentials_and_region_have_a_hint() -> None:
    """Without any, and with a profile that does not exist."""
    with pytest.raises(CredentialError, match="set sigv4"):
        signer().authorize(prepared())
    with pytest.raises(ValueError, match="region is not set"):
        SigV4Signer(SigV4(access_key="a", secret_key=Secret("b")))
    with pytest.raises(CredentialError, match="nobody"):
        signer(profile="nobody").authorize(prepared())


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the extra that brings it."""

    def absent(name: str) -> ModuleType:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(MissingExtraError, match=r"requires the package botocore: pip install 'retrain-bridge\[aws\]'"):
        signer()


# ------------------------------------------------------------ Microsoft Entra


def azure(folder: Path, **settings: Any) -> AzureToken:
    return AzureToken(AzureAd.model_validate(settings), HttpConfig(), folder)


def test_managed_identity_queries_the_metadata_service(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Once, until the token is refused."""
    answer = Reply(200, json.dumps({"access_token": "t1", "expires_in": "86399"}).encode())
    with Receiver(answer) as machine:
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", machine.url)
        made = azure(tmp_path, managed_identity={"client_id": "app"})
        for _ in range(2):
            request = prepared()
            made.authorize(request)
            assert request.headers["Authorization"] == "Bearer t1"
        made.forget()
        made.authorize(prepared())
        first, _ = machine.requests
    asked = dict(parse_qsl(urlsplit(first.path).query))
    assert asked == {
        "api-version": "2018-02-01",
        "resource": "https://prometheus.monitor.azure.com",
        "client_id": "app",
    }
    assert first.headers["metadata"] == "true"


def test_secret_of_an_application_is_exchanged(tmp_path: Path) -> None:
    """A refusal of the token server is named, without the secret."""
    with Receiver(Reply(200, b'{"access_token": "t2"}'), Reply(401, b"{}")) as server:
        cloud = {"name": "AzureCustom", "aad_endpoint": server.url, "token_audience": "scope"}
        secret = {"client_id": "app", "client_secret": "hush", "tenant_id": "contoso.example"}
        made = azure(tmp_path, cloud=cloud, oauth=secret)
        request = prepared()
        made.authorize(request)
        assert request.headers["Authorization"] == "Bearer t2"
        assert dict(parse_qsl(server.requests[0].body.decode()))["client_secret"] == "hush"
        made.forget()
        with pytest.raises(CredentialError, match="HTTP 401") as caught:
            made.authorize(prepared())
    assert "hush" not in str(caught.value)
