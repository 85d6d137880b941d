"""A stub of every preset, and a sink on it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.orchestrators.python import Airflow3, Dagster, Prefect
from tests.support.orchestrators.rest import Airflow2, Argo, Databricks, GitHub, Kubernetes
from tests.support.orchestrators.stub import Stub

STUBS = {kind.preset: kind for kind in (Airflow3, Prefect, Dagster, Airflow2, Argo, Kubernetes, Databricks, GitHub)}


@pytest.fixture(params=sorted(STUBS))
def stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with STUBS[request.param]() as server:
        yield server
