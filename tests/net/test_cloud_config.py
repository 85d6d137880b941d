"""Credentials of cloud providers: settings that exclude each other."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.net.cloud_config import AzureAd, SigV4


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        (SigV4, {"access_key": "a"}, "access_key and secret_key must be set together"),
        (SigV4, {"access_key": "a", "secret_key": "b", "profile": "c"}, "at most one of access_key, profile"),
        (SigV4, {"external_id": "a"}, "external_id requires role_arn"),
        (AzureAd, {}, "exactly one of managed_identity, oauth, workload_identity"),
        (AzureAd, {"managed_identity": {}, "workload_identity": {"client_id": "a", "tenant_id": "b"}}, "exactly one"),
        (AzureAd, {"workload_identity": {"client_id": "a", "tenant_id": "a/b"}}, "tenant_id must be"),
    ],
)
def test_settings_that_cannot_work_are_refused(model: Any, settings: dict[str, Any], message: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match=message):
        model.model_validate(settings)
