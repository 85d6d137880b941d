"""The vendors of query back ends, as their documentation describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from tests.support import aws
from tests.support.back_ends import EVERYWHERE, JSON, Answer, Kind, Request, StandIn, error

SECRETS = {"AKFIRST": "first/secret+key", "AKSECOND": "second/secret+key"}
REGION = "eu-central-1"
LOST = "store 10.0.0.7:10901 is not available"
_SUCCESS: dict[str, Any] = {"status": "success", "data": {"resultType": "vector", "result": []}}
_PLAIN_LIMIT = (
    422,
    JSON,
    error("execution", "query processing would load too many samples into memory in query execution"),
)
_PLAIN_THROTTLE = 429, {"Retry-After": "1"}, b"too many requests"


# ------------------------------------------------------------ credentials


def bearer_file(made: StandIn, folder: Path) -> dict[str, Any]:
    """A token in a file, which a sidecar rotates."""
    (folder / "credential").write_text(made.credential)
    return {"authorization": {"credentials_file": "credential"}}


def bearer(made: StandIn, request: Request) -> Answer | None:
    good = request.headers.get("authorization") == f"Bearer {made.credential}"
    return None if good else (401, {"WWW-Authenticate": "Bearer"}, b"Unauthorized")


def basic_file(made: StandIn, folder: Path) -> dict[str, Any]:
    (folder / "credential").write_text(made.credential)
    return {"basic_auth": {"username": "123456", "password_file": "credential"}}


def basic(made: StandIn, request: Request) -> Answer | None:
    import base64  # noqa: PLC0415

    wanted = "Basic " + base64.b64encode(f"123456:{made.credential}".encode()).decode()
    if request.headers.get("authorization") == wanted:
        return None
    return 401, JSON, b'{"status":"error","error":"authentication error: invalid token"}'


def tenant_too(made: StandIn, request: Request) -> Answer | None:
    if request.headers.get("x-scope-orgid") != "team-a|team-b":
        return 401, {"Content-Type": "text/plain"}, b"no org id\n"
    return bearer(made, request)


def profile(made: StandIn, folder: Path) -> dict[str, Any]:
    """A profile of AWS' shared file, whose keys are rotated."""
    key = f"AK{made.credential.upper()}"
    text = f"[bridge]\naws_access_key_id = {key}\naws_secret_access_key = {SECRETS[key]}\naws_session_token = t/{key}\n"
    (folder / "credential").write_text(text)
    return {"sigv4": {"region": REGION, "profile": "bridge"}}


def signed(made: StandIn, request: Request) -> Answer | None:
    key = f"AK{made.credential.upper()}"
    text = aws.refusal(
        request.method, request.target, request.headers, request.body,
        secrets={key: SECRETS[key]}, region=REGION, token=f"t/{key}",
    )  # fmt: skip
    return (
        (403, {"x-amzn-ErrorType": "AccessDeniedException"}, json.dumps({"message": text}).encode()) if text else None
    )


def token(made: StandIn, number: int) -> Answer:
    """Answer of a token server: a token that is used until it is refused."""
    return 200, JSON, json.dumps({"access_token": f"{made.credential}-{number}", "expires_in": "3599"}).encode()


def entra(made: StandIn, folder: Path) -> dict[str, Any]:
    """A workload identity: the token of a service account against one of Microsoft Entra."""
    (folder / "assertion").write_text("header.claims.signature\n")
    wanted = {
        "grant_type": "client_credentials", "client_id": "app",
        "scope": "https://prometheus.monitor.azure.com/.default",
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": "header.claims.signature",
    }  # fmt: skip

    def answer(request: Request) -> Answer:
        good = request.path == "/tenant.example/oauth2/v2.0/token" and request.params == wanted
        return token(made, len(made.tokens)) if good else (400, JSON, b'{"error":"invalid_request"}')

    made.token_answer = answer
    cloud = {"name": "AzureCustom", "aad_endpoint": made.url, "token_audience": wanted["scope"]}
    workload = {"client_id": "app", "tenant_id": "tenant.example", "token_file_path": "assertion"}
    return {"azuread": {"cloud": cloud, "workload_identity": workload}}


def issued(made: StandIn, request: Request) -> Answer | None:
    """Refuse tokens of an earlier credential, with the error body of Azure."""
    if request.headers.get("authorization", "").startswith(f"Bearer {made.credential}-"):
        return None
    return 401, JSON, json.dumps({"error": {"code": "InvalidToken", "message": "the token has expired"}}).encode()


def key_file(made: StandIn, folder: Path) -> dict[str, Any]:
    """A key file of a service account, whose assertion Google's own library verifies."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    account = {
        "type": "service_account", "client_email": "bridge@project.iam.gserviceaccount.com",
        "token_uri": f"{made.url}/token", "private_key": private.decode(), "private_key_id": "1",
    }  # fmt: skip
    (folder / "account.json").write_text(json.dumps(account))

    def answer(request: Request) -> Answer:
        claims = jwt.decode(request.params["assertion"], certs=public, audience="https://oauth2.googleapis.com/token")
        good = claims["scope"] == "https://www.googleapis.com/auth/monitoring.read"
        return token(made, len(made.tokens)) if good else (400, JSON, b'{"error":"invalid_scope"}')

    made.token_answer = answer
    return {"google_iam": {"credentials_file": "account.json"}}


def issued_by_google(made: StandIn, request: Request) -> Answer | None:
    if issued(made, request) is None:
        return None
    return 401, JSON, json.dumps({"error": {"code": 401, "message": "expired", "status": "UNAUTHENTICATED"}}).encode()


# ------------------------------------------------------------ partial answers


def thanos_partial(params: Mapping[str, str]) -> Answer:
    if params.get("partial_response", "true") == "false":
        return 422, JSON, error("execution", LOST)
    return 200, JSON, json.dumps({**_SUCCESS, "warnings": [LOST]}).encode()


def victoria_partial(params: Mapping[str, str]) -> Answer:
    if params.get("deny_partial_response") == "1":
        return 503, JSON, error("503", LOST)
    return 200, JSON, json.dumps({**_SUCCESS, "isPartial": True}).encode()


def mimir_limit(name: str) -> Answer:
    text = (
        f"the query exceeded the maximum number of series (limit: 10 series) ({name}). Consider reducing the time range"
    )
    return 422, JSON, error("execution", text)


KINDS = {
    kind.flavor: kind
    for kind in (
        Kind("prometheus", bearer_file, bearer, _PLAIN_LIMIT, _PLAIN_THROTTLE, params=None),
        Kind(
            "thanos", lambda made, folder: {**bearer_file(made, folder), "tenant": "team-a"}, bearer,
            (422, JSON, error("execution", "exceeded series limit: rpc error: code = ResourceExhausted")),
            _PLAIN_THROTTLE, thanos_partial, params=frozenset({"partial_response", "dedup", "max_source_resolution"}),
        ),
        Kind(
            "mimir", lambda made, folder: {**bearer_file(made, folder), "tenant": "team-a|team-b"}, tenant_too,
            mimir_limit("err-mimir-max-series-per-query"),
            (429, {"Retry-After": "1"}, error("unavailable", "too many outstanding requests")), prefix="/prometheus",
        ),
        Kind(
            "victoriametrics", basic_file, basic,
            (422, JSON, error("422", "cannot select more than -search.maxUniqueTimeseries=10 unique timeseries")),
            (503, {"Retry-After": "1"}, error("503", "couldn't start executing the request in 10.000 seconds")),
            victoria_partial, prefix="/select/0/prometheus", params=frozenset({"nocache", "deny_partial_response"}),
        ),
        Kind(
            "amazon", profile, signed, _PLAIN_LIMIT,
            (429, {"x-amzn-ErrorType": "ThrottlingException"}, b'{"message":"Rate exceeded"}'),
            prefix="/workspaces/ws-1", params=frozenset(),
        ),
        Kind(
            "google", key_file, issued_by_google, _PLAIN_LIMIT,
            (429, JSON, b'{"error":{"code":429,"message":"Quota exceeded","status":"RESOURCE_EXHAUSTED"}}'),
            prefix="/v1/projects/p/location/global/prometheus", params=frozenset(), post=False,
        ),
        Kind("azure", entra, issued, _PLAIN_LIMIT, _PLAIN_THROTTLE),
        Kind(
            "grafana_cloud", basic_file, basic, mimir_limit("err-mimir-max-estimated-memory-consumption-per-query"),
            _PLAIN_THROTTLE, prefix="/api/prom",
        ),
    )
}  # fmt: skip
assert not any(kind.params and kind.params & EVERYWHERE for kind in KINDS.values())
