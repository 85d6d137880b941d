"""Metrics of a fleet's replica."""

from __future__ import annotations

from bridge.app.fleet_metrics import FleetMetrics
from bridge.store.leases import FleetState, Replica

PREFIX = "retrain_bridge_fleet_"
STATE = FleetState("b", 7, False, 9_500, 0, 3, 0, -250, (Replica("b", "", "", "", 3, 0, 0),), "0009")


def values(metrics: FleetMetrics) -> dict[str, float]:
    lines = [line for line in metrics.render().decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix(PREFIX): float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_every_result_has_a_series_from_the_start() -> None:
    found = values(FleetMetrics())
    for result in ("success", "lost", "error"):
        assert found[f'lease_renewals_total{{result="{result}"}}'] == 0
    assert found["owner"] == 0


def test_a_look_sets_the_gauges_in_seconds() -> None:
    """Without a look at the database they keep their values."""
    metrics = FleetMetrics()
    metrics.looked(STATE, 4, owner=False)
    metrics.looked(None, 5, owner=True)
    found = values(metrics)
    assert (found["owner"], found["config_seq"], found["replicas"]) == (1, 5, 1)
    assert (found["clock_offset_seconds"], found["lease_expiry_timestamp_seconds"]) == (-0.25, 9.5)


def test_taking_and_losing_the_ownership_is_counted() -> None:
    metrics = FleetMetrics()
    metrics.taken()
    metrics.renewed("success")
    assert values(metrics)["owner"] == 1
    metrics.lost(fenced=3)
    found = values(metrics)
    assert (found["owner"], found["takeovers_total"], found["fenced_commits_total"]) == (0, 1, 3)
    assert found['lease_renewals_total{result="success"}'] == 1
