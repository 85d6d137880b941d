"""Imports from Grafana's Foundation SDK: its classes for classic dashboards (schemaVersion 42).

At import the SDK recommends its newer format, which older servers, sidecars and imports do not accept.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    from grafana_foundation_sdk.builders import common as build_common
    from grafana_foundation_sdk.builders import dashboard as build
    from grafana_foundation_sdk.builders import prometheus as build_query
    from grafana_foundation_sdk.builders import stat, statetimeline, table, timeseries
    from grafana_foundation_sdk.cog.encoder import JSONEncoder
    from grafana_foundation_sdk.cog.plugins import register_default_plugins
    from grafana_foundation_sdk.models import common, dashboard
    from grafana_foundation_sdk.models.prometheus import PromQueryFormat

__all__ = [
    "JSONEncoder", "PromQueryFormat", "build", "build_common", "build_query", "common", "dashboard",
    "register_default_plugins", "stat", "statetimeline", "table", "timeseries",
]  # fmt: skip
