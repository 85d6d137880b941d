"""Tests of the chart's objects for the Prometheus operator, against the types of its custom resources."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import yaml

from tests.support.typescript import check, install

GOLDEN = Path(__file__).parent / "golden" / "everything.yaml"
KINDS = ("ServiceMonitor", "PrometheusRule")

Json = dict[str, Any]


def objects() -> dict[str, Json]:
    """Return the rendered objects of each kind."""
    documents = yaml.safe_load_all(GOLDEN.read_text())
    found = {item["kind"]: item for item in documents if item and item["kind"] in KINDS}
    assert sorted(found) == sorted(KINDS)
    return found


def source(item: Json) -> str:
    """Return an object as a constant of its kind's type."""
    kind = item["kind"]
    return (
        f"import type {{ I{kind} }} from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/{kind}';\n"
        f"export const item: I{kind} = {json.dumps(item)};\n"
    )


def planted() -> dict[str, Json]:
    """Return objects with one fault each."""
    faults = {name: copy.deepcopy(item) for name, item in objects().items()}
    wrong = {"field": faults["ServiceMonitor"], "kind": faults["PrometheusRule"]}
    wrong["field"]["spec"]["endpoints"][0]["intervall"] = "30s"
    wrong["kind"]["spec"]["groups"][0]["rules"][0]["for"] = 300
    return wrong


def test_objects_have_the_operators_types(tmp_path: Path) -> None:
    """Both kinds pass; each planted fault, and nothing else, is found."""
    install()
    found = check({name: source(item) for name, item in {**objects(), **planted()}.items()}, tmp_path)
    by_name = {line.partition(":")[0]: line for line in found}
    assert sorted(by_name) == ["field", "kind"], found
    assert "intervall" in by_name["field"]
