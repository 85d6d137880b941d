"""Credentials of cloud providers, with the keys of `remote_write` in prometheus.yml: sigv4, azuread, google_iam."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator

from bridge.net.http_config import Secret, at_most_one

_TENANT = re.compile(r"[0-9a-zA-Z.-]+")
AzureCloud = Literal["AzurePublic", "AzureChina", "AzureGovernment"]


class _CloudPart(BaseModel):
    """Mapping of a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)
    elsewhere: ClassVar[Mapping[str, str]] = MappingProxyType({})


class SigV4(_CloudPart):
    """`sigv4`: signs queries for Amazon. Values that are not set are taken from AWS' default credentials chain."""

    region: str = ""
    access_key: str = ""
    secret_key: Secret = Secret("")
    profile: str = ""
    role_arn: str = ""
    external_id: str = ""
    service: str = "aps"

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if bool(self.access_key) != bool(self.secret_key):
            raise ValueError("access_key and secret_key must be set together")
        at_most_one(access_key=self.access_key, profile=self.profile)
        if self.external_id and not self.role_arn:
            raise ValueError("external_id requires role_arn")
        return self


def _check_tenant(tenant: str) -> None:
    if not _TENANT.fullmatch(tenant):
        raise ValueError("tenant_id must be the id or domain of a Microsoft Entra tenant")


class ManagedIdentity(_CloudPart):
    """`managed_identity`: identity of the machine; user-assigned if `client_id` is set, or else system-assigned."""

    client_id: str = ""


class AzureOAuth(_CloudPart):
    """`oauth`: client secret of an application that is registered in Entra."""

    client_id: str
    client_secret: Secret
    tenant_id: str

    @model_validator(mode="after")
    def _checked(self) -> Self:
        _check_tenant(self.tenant_id)
        return self


class WorkloadIdentity(_CloudPart):
    """`workload_identity`: token of a Kubernetes service account, which is exchanged for one of Entra."""

    client_id: str
    tenant_id: str
    token_file_path: str = "/var/run/secrets/azure/tokens/azure-identity-token"  # noqa: S105 - a path

    @model_validator(mode="after")
    def _checked(self) -> Self:
        _check_tenant(self.tenant_id)
        return self


class CustomCloud(_CloudPart):
    """`cloud: {name: AzureCustom, ...}`; the default `scope` is `token_audience` followed by `/.default`."""

    name: Literal["AzureCustom"]
    aad_endpoint: str
    token_audience: str


class AzureAd(_CloudPart):
    """`azuread`: token of Microsoft Entra; the default `scope` allows queries in the chosen `cloud`."""

    elsewhere = MappingProxyType(
        {
            "sdk": "name the credential: managed_identity, workload_identity or oauth",
            "certificate": "use oauth, workload_identity or managed_identity",
        }
    )
    cloud: AzureCloud | CustomCloud = "AzurePublic"
    managed_identity: ManagedIdentity | None = None
    oauth: AzureOAuth | None = None
    workload_identity: WorkloadIdentity | None = None
    scope: str = ""

    @model_validator(mode="after")
    def _one(self) -> Self:
        ways: dict[str, Any] = {
            "managed_identity": self.managed_identity, "oauth": self.oauth, "workload_identity": self.workload_identity,
        }  # fmt: skip
        if sum(way is not None for way in ways.values()) != 1:
            raise ValueError(f"exactly one of {', '.join(ways)} must be set")
        return self


class GoogleIam(_CloudPart):
    """`google_iam`: token of Google.

    - `credentials_file`: key of a service account; by default, the application default credentials are used
    """

    credentials_file: str = ""
