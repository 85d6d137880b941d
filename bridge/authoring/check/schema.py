"""JSON Schemas of the files, for editors, generated from the models that validate them."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from bridge.authoring.unit_tests.file import FileSection
from bridge.config.bridge_file import BridgeSection
from bridge.config.conditions import AtLeastSection, ConditionSection
from bridge.config.rule import CooldownSection, RuleSection
from bridge.config.rule_file import GroupSection, RecordingSection, RuleFileSection
from bridge.config.signals import SignalSection
from bridge.config.strategy import CHEAP, LENGTH
from bridge.config.time_intervals import IntervalSection, SpanSection
from bridge.domain.time_interval import TimePeriod
from bridge.sinks.registry import sinks
from bridge.strategies.registry import strategies

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Json = dict[str, Any]


def schema(kind: str) -> Json:
    """Return the schema of `config` (bridge.yml), `rules` or `tests` (unit-test files). Raises KeyError for others."""
    return {"config": _config, "rules": _rules, "tests": _tests}[kind]()


def _tests() -> Json:
    names, definitions = _definitions([FileSection])
    return _whole(names[FileSection], definitions, "retrain-bridge unit tests")


def _rules() -> Json:
    configs = {name: strategy.Config for name, strategy in strategies().items()}
    models: list[type[BaseModel]] = [
        RuleFileSection, GroupSection, RuleSection, CooldownSection, RecordingSection, SignalSection, ConditionSection,
        AtLeastSection,
    ]  # fmt: skip
    names, definitions = _definitions([*models, SpanSection, *configs.values()])
    for config in configs.values():
        properties = definitions[names[config]].get("properties", {})
        for field in properties.values():
            _also_length(field)
        if CHEAP in properties:
            properties[CHEAP]["items"] = _ref(names[SpanSection])
            definitions.pop(TimePeriod.__name__, None)
    judged = {
        "anyOf": [
            {"enum": sorted(configs)},
            {
                "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
                "properties": {name: _or_nothing(_ref(names[config])) for name, config in configs.items()},
            },
        ]
    }  # fmt: skip
    conditions = {"type": "array", "minItems": 2, "items": _ref(names[ConditionSection])}
    rule = definitions[names[RuleSection]]["properties"]
    rule |= {"strategy": judged, "all": conditions, "any": conditions, "at_least": _ref(names[AtLeastSection])}
    base = definitions[names[CooldownSection]]["properties"]["base"]["anyOf"]
    rule["cooldown"] = {"anyOf": [*base, rule["cooldown"]]}
    definitions[names[ConditionSection]]["properties"]["strategy"] = judged
    definitions[names[AtLeastSection]]["properties"]["of"] = conditions
    group = definitions[names[GroupSection]]["properties"]
    group["rules"] = {
        "type": "array", "items": {"anyOf": [_ref(names[RuleSection]), _ref(names[RecordingSection])]},
    }  # fmt: skip
    group["signals"] = {"type": "object", "additionalProperties": _ref(names[SignalSection])}
    definitions[names[RuleFileSection]]["properties"]["groups"] = {"type": "array", "items": _ref(names[GroupSection])}
    return _whole(names[RuleFileSection], definitions, "retrain-bridge rules")


def _config() -> Json:
    configs = {f"{name}_configs": sink.Config for name, sink in sinks().items()}
    names, definitions = _definitions([BridgeSection, IntervalSection, *configs.values()])
    top = definitions[names[BridgeSection]]["properties"]
    entries = {key: {"type": "array", "items": _ref(names[config])} for key, config in configs.items()}
    top["receivers"] = {
        "type": "array",
        "items": {
            "type": "object", "required": ["name"], "additionalProperties": False,
            "properties": {"name": {"type": "string"}, **entries},
        },
    }  # fmt: skip
    top["time_intervals"] = {"type": "array", "items": _ref(names[IntervalSection])}
    return _whole(names[BridgeSection], definitions, "retrain-bridge configuration")


def _definitions(models: list[type[BaseModel]]) -> tuple[dict[type[BaseModel], str], dict[str, Json]]:
    """Return the name of each model's definition, and all definitions."""
    known, whole = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    names = {model: known[model, "validation"]["$ref"].rsplit("/", 1)[1] for model in models}
    return names, _without_nothing(whole["$defs"])


def _without_nothing(item: Any) -> Any:
    """Remove null from fields that default to None: an optional key must not be empty."""
    if isinstance(item, list):
        return [_without_nothing(part) for part in item]
    if not isinstance(item, dict):
        return item
    kept = {key: _without_nothing(part) for key, part in item.items() if not (key == "default" and part is None)}
    options = kept.get("anyOf")
    if isinstance(options, list) and {"type": "null"} in options:
        others = [option for option in options if option != {"type": "null"}]
        kept |= {"anyOf": others}
        if len(others) == 1:
            del kept["anyOf"]
            kept |= others[0]
    return kept


def _ref(name: str) -> Json:
    return {"$ref": f"#/$defs/{name}"}


def _or_nothing(item: Json) -> Json:
    return {"anyOf": [item, {"type": "null"}]}


def _also_length(field: Json) -> None:
    """Allow a duration such as 200ms where a number in the signal's unit is expected."""
    if field.get("type") == "number":
        field |= {"type": ["number", "string"], "pattern": f"^({LENGTH.pattern})$"}


def _whole(name: str, definitions: dict[str, Json], title: str) -> Json:
    return {"$schema": DIALECT, "title": title, **_ref(name), "$defs": definitions}
