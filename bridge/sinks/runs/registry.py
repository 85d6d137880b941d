"""Search in MLflow's model registry for the version that a run made."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from bridge.domain.times import Duration
from bridge.net.session import NetError, call, open_session
from bridge.sinks.base import SinkContext
from bridge.sinks.runs.calls import MlflowConfig
from bridge.sinks.runs.expression import decoded, find, find_text
from bridge.sinks.runs.template import render_text

_SEARCH = "/api/2.0/mlflow/model-versions/search"
_ALIAS = "/api/2.0/mlflow/registered-models/alias"


class RegistrySearch:
    """Search of one MLflow server."""

    def __init__(self, config: MlflowConfig, timeout: Duration, context: SinkContext) -> None:
        self._config = config
        self._timeout = timeout / 1000
        self._base_dir = context.base_dir

    def version(self, variables: Mapping[str, Any]) -> str:
        """Return the newest version with the request's tag, or that of the alias; "" if there is none.

        Raises NetError while the server does not answer.
        """
        if self._config.alias:
            name = render_text(self._config.model, variables)
            body = self._get(_ALIAS, {"name": name, "alias": self._config.alias})
            return find_text("model_version.version", body)
        wanted = str(variables["ID"]).replace("'", "")
        body = self._get(_SEARCH, {"filter": f"tags.`{self._config.tag}` = '{wanted}'", "max_results": "100"})
        versions = find("model_versions[].version", body) or []
        return max(map(str, versions), key=lambda text: (len(text), text), default="")

    def _get(self, path: str, query: Mapping[str, str]) -> Any:
        url = f"{self._config.url.rstrip('/')}{path}?{urlencode(query)}"
        with open_session(self._config.http_config, self._base_dir) as session:
            answer = call(session, "GET", url, deadline=self._timeout)
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise NetError(f"MLflow: HTTP {answer.status}", "network")
        return decoded(answer.body)
