"""The committed dashboards are what the generator makes, in a form that every server takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.generator.boards import boards
from grafana.generator.making import every_panel
from grafana.generator.sdk import JSONEncoder, dashboard, register_default_plugins
from tests.support.grafana import ROOT, dashboards

NAMES = ["decisions", "internals", "overview"]


def test_what_is_committed_is_what_the_generator_makes() -> None:
    """To the byte; after a change: python -m grafana.generator."""
    folder = ROOT / "grafana" / "dashboards"
    committed = {file.stem: file.read_text(encoding="utf-8") for file in folder.iterdir()}
    assert sorted(committed) == NAMES
    for name, text in boards().items():
        assert committed[name] == text, f"{name}: python -m grafana.generator"


def lost(ours: Any, theirs: Any, path: str = "") -> Iterator[str]:
    """Where `theirs` does not have what `ours` has; more is allowed: defaults are filled in."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key, value in ours.items():
            if key in theirs:
                yield from lost(value, theirs[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}"
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from lost(one, other, f"{path}[{index}]")
    elif ours != theirs:
        yield path


def round_trip(board: dict[str, Any]) -> list[str]:
    """What Grafana's own schema does not know of a dashboard."""
    register_default_plugins()
    again = json.loads(json.dumps(dashboard.Dashboard.from_json(json.loads(json.dumps(board))), cls=JSONEncoder))
    return list(lost(board, again))


@pytest.mark.parametrize("name", NAMES)
def test_the_schema_of_grafana_knows_every_key(name: str) -> None:
    """Read by the SDK's classes and written again, nothing is gone."""
    assert round_trip(dashboards()[name]) == []


def test_a_key_that_no_server_knows_would_be_found() -> None:
    """In a dashboard, a panel's options, a field's custom options, and a target."""
    board = dashboards()["decisions"]
    lines = next(panel for panel in every_panel(board) if panel["type"] == "timeseries")
    board["reload"] = "30s"
    lines["options"]["legends"] = {}
    lines["fieldConfig"]["defaults"]["custom"]["lineWidht"] = 2
    lines["targets"][0]["expression"] = "up"
    found = sorted(path.rpartition(".")[2] for path in round_trip(board))
    assert found == ["expression", "legends", "lineWidht", "reload"]


@pytest.mark.parametrize("name", NAMES)
def test_a_dashboard_holds_nothing_of_one_server(name: str) -> None:
    """No id, no version, no __inputs (provisioning fails on it); the one data source is a variable."""
    board = dashboards()[name]
    assert {"id", "version", "__inputs", "__requires", "gnetId"} & board.keys() == set()
    assert (board["schemaVersion"], board["uid"], board["tags"], board["refresh"], board["editable"]) == (
        42, f"retrain-bridge-{name}", ["retrain-bridge"], "30s", False,
    )  # fmt: skip
    assert board["time"]["from"].startswith("now-")
    sources = list(_sources(board))
    assert len(sources) > 20
    assert [source for source in sources if source != {"type": "prometheus", "uid": "${datasource}"}] == []
    assert [panel["id"] for panel in every_panel(board)] == list(range(1, len(every_panel(board)) + 1))


def _sources(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "datasource":
                yield inner
            else:
                yield from _sources(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _sources(inner)


def test_the_sidecar_is_given_every_dashboard() -> None:
    """One ConfigMap with the label that it looks for, below the size that Kubernetes takes; nothing else is applied."""
    found = yaml.safe_load((ROOT / "grafana" / "kustomization.yaml").read_text())
    (made,) = found["configMapGenerator"]
    files = [ROOT / "grafana" / name for name in made["files"]]
    assert files == sorted((ROOT / "grafana" / "dashboards").glob("*.json"))
    assert sum(file.stat().st_size for file in files) < 1_000_000
    assert found["generatorOptions"]["labels"] == {"grafana_dashboard": "1"}
    assert set(found) == {"apiVersion", "kind", "configMapGenerator", "generatorOptions"}


def test_provisioning_finds_the_dashboards_and_a_data_source() -> None:
    """The files that a server reads from /etc/grafana/provisioning; the folder is where compose.yaml mounts it."""
    folder = ROOT / "grafana" / "provisioning"
    (provider,) = yaml.safe_load((folder / "dashboards" / "retrain-bridge.yml").read_text())["providers"]
    assert (provider["type"], provider["allowUiUpdates"]) == ("file", False)
    mounts = yaml.safe_load(Path(ROOT / "compose.yaml").read_text())["services"]["grafana"]["volumes"]
    there = dict(mount.split(":")[:2] for mount in mounts if mount.startswith("./"))
    assert there["./grafana/dashboards"] == provider["options"]["path"]
    assert there["./grafana/provisioning/dashboards"] == "/etc/grafana/provisioning/dashboards"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
