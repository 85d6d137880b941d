"""A stub of every preset, and a sink on it."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.net import adapter
from bridge.net.http_config import TlsConfig
from tests.support.orchestrators.python import Airflow3, Dagster, DagsterPartition, Prefect
from tests.support.orchestrators.rest import Airflow2, Argo, Databricks, GitHub, Kubernetes
from tests.support.orchestrators.stub import Stub


@pytest.fixture(scope="session")
def context() -> ssl.SSLContext:
    """Return a context with the certificate authorities, which take most of the time of opening a session."""
    return adapter.tls_context(TlsConfig(), Path())


@pytest.fixture
def one_tls_context(context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the certificate authorities once: every restart of a sink opens a session, and all of them speak HTTP."""
    monkeypatch.setattr(adapter, "tls_context", lambda *_: context)


KINDS = (Airflow3, Prefect, Dagster, DagsterPartition, Airflow2, Argo, Kubernetes, Databricks, GitHub)
STUBS = {kind.preset: kind for kind in KINDS}


@pytest.fixture(params=sorted(STUBS))
def stub(request: pytest.FixtureRequest, one_tls_context: None) -> Iterator[Stub]:
    with STUBS[request.param]() as server:
        yield server
