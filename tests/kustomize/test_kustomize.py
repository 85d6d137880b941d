"""The plain manifests as Kustomize builds them; kubectl contains it."""

from __future__ import annotations

import copy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml

ROOT = Path(__file__).parents[2]
KUSTOMIZE = ROOT / "charts" / "kustomize"
NAMESPACE = "retrain-bridge"
Json = dict[str, Any]


def objects(text: str) -> dict[tuple[str, str], Json]:
    """Return the objects of a file by kind and name."""
    found = [item for item in yaml.safe_load_all(text) if item]
    made = {(item["kind"], item["metadata"]["name"]): item for item in found}
    assert len(made) == len(found)
    return made


def test_kustomize_builds_the_charts_objects_and_the_files() -> None:
    """Every object of the rendered chart, in the namespace, and a ConfigMap for each generator, with its files."""
    command = [shutil.which("kubectl") or "kubectl", "kustomize", str(KUSTOMIZE)]
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert built.returncode == 0, built.stderr
    found = objects(built.stdout)
    for key, item in objects((KUSTOMIZE / "retrain-bridge.yaml").read_text()).items():
        wanted = copy.deepcopy(item)
        wanted["metadata"]["namespace"] = NAMESPACE
        assert found.pop(key) == wanted
    wanted_files = {}
    for folder in (KUSTOMIZE, ROOT / "grafana"):
        for generator in yaml.safe_load((folder / "kustomization.yaml").read_text())["configMapGenerator"]:
            files = {Path(file).name: (folder / file).read_text() for file in generator["files"]}
            wanted_files["ConfigMap", generator["name"]] = files
    assert {key: item["data"] for key, item in found.items()} == wanted_files
    assert {item["metadata"]["namespace"] for item in found.values()} == {NAMESPACE}
    dashboards = found["ConfigMap", "retrain-bridge-dashboards"]["metadata"]
    assert dashboards["labels"] == {"grafana_dashboard": "1"}
    for item in found.values():
        kubernetes_validate.validate(item, "1.37", strict=True)
