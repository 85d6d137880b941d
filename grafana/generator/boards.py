"""All dashboards."""

from __future__ import annotations

from grafana.generator import decisions, internals, overview
from grafana.generator.making import as_json


def boards() -> dict[str, str]:
    """Return the JSON text of each dashboard, by file name without extension."""
    return {
        "overview": as_json(overview.overview()),
        "decisions": as_json(decisions.decisions()),
        "internals": as_json(internals.internals()),
    }
