"""Amazon's side of Signature Version 4: recomputes the signature of a request as it came over the wire."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_HEADER = re.compile(
    r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, SignedHeaders=([^,]+), Signature=(\w+)"
)


def refusal(
    method: str, target: str, headers: Mapping[str, str], body: bytes, *, secrets: Mapping[str, str],
    region: str, service: str = "aps", token: str = "",
) -> str:  # fmt: skip
    """Return why the request is refused; "" if its signature is right.

    target: path and query as received. headers: with names in lower case. secrets: secret key by access key.
    token: session token that must have been sent and signed.
    """
    found = _HEADER.fullmatch(headers.get("authorization", ""))
    if found is None:
        return "Missing Authentication Token"
    key, day, named_region, named_service, signed, signature = found.groups()
    if (named_region, named_service) != (region, service) or not headers.get("x-amz-date", "").startswith(day):
        return "Credential should be scoped to a valid region and service"
    if key not in secrets:
        return "The security token included in the request is invalid."
    if headers.get("x-amz-security-token", "") != token or (token and "x-amz-security-token" not in signed):
        return "The security token included in the request is invalid."
    if "host" not in signed.split(";"):
        return "'Host' must be a SignedHeader"
    wanted = {
        _by_botocore(method, target, headers, body, signed, (key, secrets[key]), (region, service)),
        _by_hand(method, target, headers, body, signed, secrets[key], (region, service)),
    }
    return (
        ""
        if wanted == {signature}
        else "The request signature we calculated does not match the signature you provided."
    )


def _pairs(target: str) -> list[tuple[str, str]]:
    """Return the parameters as received; a plus is a plus."""
    parts = [item.partition("=") for item in urlsplit(target).query.split("&") if item]
    return [(unquote(name), unquote(value)) for name, _, value in parts]


def _by_botocore(
    method: str, target: str, headers: Mapping[str, str], body: bytes, signed: str, key: tuple[str, str],
    scope: tuple[str, str],
) -> str:  # fmt: skip
    auth = SigV4Auth(Credentials(*key), scope[1], scope[0])
    url = f"http://{headers['host']}{urlsplit(target).path}"
    sent = {name: headers[name] for name in signed.split(";")}
    request = AWSRequest(method=method, url=url, data=body, params=dict(_pairs(target)), headers=sent)
    request.context["timestamp"] = headers["x-amz-date"]
    return str(auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request))


def _by_hand(
    method: str, target: str, headers: Mapping[str, str], body: bytes, signed: str, secret: str, scope: tuple[str, str]
) -> str:
    query = "&".join(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in sorted(_pairs(target)))
    lines = [method, urlsplit(target).path, query, *(f"{name}:{headers[name]}" for name in signed.split(";"))]
    text = "\n".join([*lines, "", signed, hashlib.sha256(body).hexdigest()])
    at = headers["x-amz-date"]
    steps = (at[:8], *scope, "aws4_request")
    to_sign = ["AWS4-HMAC-SHA256", at, "/".join(steps), hashlib.sha256(text.encode()).hexdigest()]
    key = f"AWS4{secret}".encode()
    for step in steps:
        key = hmac.digest(key, step.encode(), "sha256")
    return hmac.digest(key, "\n".join(to_sign).encode(), "sha256").hex()
