"""Kinds of servers that answer Prometheus' query API, and what each of them needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Flavor = Literal["prometheus", "thanos", "mimir", "victoriametrics", "amazon", "google", "azure", "grafana_cloud"]
_NO_PARAMETERS: Mapping[str, str] = MappingProxyType({})
_USER = "the credentials choose the tenant"
_LOGIN = "set basic_auth, authorization or oauth2"


@dataclass(frozen=True, slots=True)
class BackEnd:
    """Kind of a server.

    params, range_params: added to every query, and to range queries besides.
    partial: name of the parameter that governs partial answers, and its values for "refused" and "allowed"; empty
        where the server has none.
    partial_default: what is sent where the configuration does not say; None = nothing.
    tenant_header: header that names the tenant. tenants: how tenants are chosen where there is none.
    post: whether queries may be sent by POST.
    login: what to do when the server refuses the credentials.
    """

    params: Mapping[str, str] = field(default_factory=lambda: _NO_PARAMETERS)
    range_params: Mapping[str, str] = field(default_factory=lambda: _NO_PARAMETERS)
    partial: tuple[str, str, str] | None = None
    partial_default: bool | None = None
    tenant_header: str = ""
    tenants: str = _USER
    post: bool = True
    login: str = _LOGIN

    def parameters(self, partial_response: bool | None, *, over_time: bool) -> dict[str, str]:
        """Return the parameters of a query. partial_response: as configured. over_time: of a range query."""
        allowed = self.partial_default if partial_response is None else partial_response
        found = {**self.params, **(self.range_params if over_time else {})}
        if self.partial is not None and allowed is not None:
            name, refused, permitted = self.partial
            found[name] = permitted if allowed else refused
        return found


# VictoriaMetrics would move start and end to multiples of the step, and hide the last 30 s (-search.latencyOffset);
# Prometheus ignores the parameter.
_EXACT = MappingProxyType({"nocache": "1"})

BACK_ENDS: Mapping[Flavor, BackEnd] = MappingProxyType(
    {
        "prometheus": BackEnd(
            range_params=_EXACT, partial=("partial_response", "false", "true"), tenants="Prometheus has no tenants"
        ),
        "thanos": BackEnd(
            params=MappingProxyType({"dedup": "true", "max_source_resolution": "0s"}),
            partial=("partial_response", "false", "true"), partial_default=False, tenant_header="THANOS-TENANT",
        ),
        "mimir": BackEnd(tenant_header="X-Scope-OrgID"),
        "victoriametrics": BackEnd(
            params=_EXACT, partial=("deny_partial_response", "1", "0"), partial_default=False,
            tenants="a cluster has the tenant in its url: /select/TENANT/prometheus",
        ),
        "amazon": BackEnd(
            tenants="the workspace is in the url",
            login="set sigv4, and allow its role the action aps:QueryMetrics on the workspace",
        ),
        "google": BackEnd(
            tenants="the project is in the url", post=False,
            login="set google_iam, and give its account the role Monitoring Viewer in the scoping project",
        ),
        "azure": BackEnd(
            tenants="the workspace is in the url",
            login="set azuread, and give its identity the role Monitoring Data Reader on the workspace",
        ),
        "grafana_cloud": BackEnd(
            login="set basic_auth: the instance's number as user, a token with the scope metrics:read as password",
        ),
    }
)  # fmt: skip
