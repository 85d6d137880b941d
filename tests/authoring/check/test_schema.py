"""JSON Schemas accept what `check` accepts, and reject what it rejects by form."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from bridge.authoring.check.schema import schema
from tests.support.pages import ROOT

GOOD = {
    "config": [ROOT / "tests/data/good/bridge.yml", ROOT / "examples/bridge.yml", ROOT / "examples/compose/bridge.yml"],
    "rules": [ROOT / "rules/demo.yml", *sorted((ROOT / "tests/data/good/rules").glob("*.yml")),
              *sorted((ROOT / "examples/rules").glob("*.yml"))],
    "tests": sorted((ROOT / "rules/tests").glob("*.yml")),
}  # fmt: skip


def errors(kind: str, value: Any) -> list[str]:
    whole = schema(kind)
    jsonschema.Draft202012Validator.check_schema(whole)
    return [error.message for error in jsonschema.Draft202012Validator(whole).iter_errors(value)]


@pytest.mark.parametrize(("kind", "file"), [(kind, file) for kind, files in GOOD.items() for file in files])
def test_every_good_file_fits(kind: str, file: Path) -> None:
    """Shipped files, examples, and those of the tests."""
    assert errors(kind, yaml.safe_load(file.read_text())) == []


def test_every_documented_example_fits() -> None:
    """The long examples of the docs."""
    for kind, page in (("config", "configuration.md"), ("rules", "rules.md")):
        text = (ROOT / "docs" / page).read_text().split("```yaml\n")[1].split("```")[0]
        assert errors(kind, yaml.safe_load(text)) == []


# Where YAML 1.1, which this test reads, is not what the check reads.
READ_ANOTHER_WAY = {"yes_is_text.bridge.yml"}
BAD = [
    file
    for folder in ("unknown_key", "wrong_type", "not_built")
    for file in sorted((ROOT / "tests/data/bad" / folder).glob("*.yml"))
    if file.name not in READ_ANOTHER_WAY
]


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_no_file_of_a_wrong_form_fits(file: Path) -> None:
    """The invalid files of the check: unknown keys, values of another type, keys without a value."""
    assert errors("config" if "bridge" in file.name else "rules", yaml.safe_load(file.read_text())) != []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("rules", {"strategy": {"cost_aware": {"retraining_cost": 5, "horizon": "a while"}}}),
        ("rules", {"strategy": {"ewma": {"standardise": {"warm_up": "1"}}}}),
        ("rules", {"strategy": {"ewma": {"standardise": {"history": "all"}}}}),
        ("rules", {"cooldown": "soon"}),
        ("config", {"time_intervals": [{"weekdays": [5]}]}),
        ("config", {"http_config": {"follow_redirects": True}}),
    ],
)
def test_wrong_values_do_not_fit(kind: str, value: dict[str, Any]) -> None:
    """Durations that are none, a number as a weekday, a redirect of a retrain request."""
    if kind == "rules":
        rule = {"retrain": "R", "signal": "s"}
        groups = [{"name": "g", "rules": [rule]}]
        assert errors(kind, {"groups": groups}) == []
        assert errors(kind, {"groups": [{"name": "g", "rules": [rule | value]}]}) != []
        return
    url = "http://localhost"
    good: dict[str, Any] = {
        "prometheus": {"url": url}, "route": {"receiver": "r"},
        "receivers": [{"name": "r", "webhook_configs": [{"url": url}]}],
    }  # fmt: skip
    assert errors(kind, good) == []
    if "time_intervals" in value:
        good["time_intervals"] = [{"name": "t", **value}]
    else:
        good["receivers"][0]["webhook_configs"] = [{"url": url, **value}]
    assert errors(kind, good) != []


def _untyped(value: Any, path: str = "") -> list[str]:
    """Return paths in a schema that accept anything."""
    if isinstance(value, list):
        return [result for number, item in enumerate(value) for result in _untyped(item, f"{path}/{number}")]
    if not isinstance(value, dict):
        return []
    result = [result for key, item in value.items() for result in _untyped(item, f"{path}/{key}")]
    for name, field in value.get("properties", {}).items():
        options = field.get("anyOf", [field])
        result += [f"{path}/{name}" for option in options if not set(option) - {"title", "default", "description"}]
    if "properties" in value and value.get("additionalProperties") is not False:
        result.append(path)
    return result


@pytest.mark.parametrize("kind", GOOD)
def test_every_key_has_a_description(kind: str) -> None:
    """A key that accepts anything does not help in an editor; no section accepts unknown keys."""
    assert _untyped(schema(kind)) == []


def _changed(value: Any, *path: Any, to: Any) -> Any:
    whole = copy.deepcopy(value)
    here = whole
    for step in path[:-1]:
        here = here[step]
    here[path[-1]] = to
    return whole


@pytest.mark.parametrize(
    ("kind", "path", "to"),
    [
        ("rules", ("groups", 0, "intervall"), "1m"),
        ("rules", ("groups", 0, "interval"), "10 minutes"),
        ("rules", ("groups", 0, "rules", 0, "strategi"), {}),
        ("rules", ("groups", 0, "rules", 0, "strategy"), {"treshold": {}}),
        ("rules", ("groups", 0, "rules", 0, "strategy"), {"threshold": {"maxx": 1}}),
        ("rules", ("groups", 0, "rules", 0, "strategy"), {"threshold": {"max": "0.6"}}),
        ("rules", ("groups", 0, "rules", 0, "approval"), "yes"),
        ("rules", ("groups", 0, "rules", 0, "inconclusive"), {"nodata": "keep"}),
        ("config", ("models",), {"labels": {"version": {"constant": "1"}}}),
        ("config", ("gates",), {"budget": {"total": "many"}}),
        ("config", ("global", "evaluation_interval"), 60),
        ("config", ("receivers", 0, "slack_configs"), []),
        ("config", ("gatess",), {}),
        ("tests", ("tests", 0, "retrain_rule_tests"), []),
    ],
)
def test_what_is_wrong_by_its_form_does_not_fit(kind: str, path: tuple[Any, ...], to: Any) -> None:
    """Unknown keys and values of another type, at every level."""
    value = yaml.safe_load(GOOD[kind][0].read_text())
    assert errors(kind, value) == []
    assert errors(kind, _changed(value, *path, to=to)) != []
