"""A stub of every preset, and a sink on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.net import session
from bridge.net.http_config import TlsConfig
from tests.support.orchestrators.python import Airflow3, Dagster, Prefect
from tests.support.orchestrators.rest import Airflow2, Argo, Databricks, GitHub, Kubernetes
from tests.support.orchestrators.stub import Stub


@pytest.fixture(autouse=True, scope="session")
def one_tls_context() -> Iterator[None]:
    """Read the certificate authorities once: every restart of a sink opens a session, and all of them speak HTTP."""
    context = session.tls_context(TlsConfig(), Path())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "tls_context", lambda *_: context)
        yield


STUBS = {kind.preset: kind for kind in (Airflow3, Prefect, Dagster, Airflow2, Argo, Kubernetes, Databricks, GitHub)}


@pytest.fixture(params=sorted(STUBS))
def stub(request: pytest.FixtureRequest) -> Iterator[Stub]:
    with STUBS[request.param]() as server:
        yield server
