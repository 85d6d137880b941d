"""The configuration that is in force, as YAML for people: defaults of `global` and `gates` spelled out, no secrets."""

from __future__ import annotations

from typing import Any

import yaml

from bridge.config.bridge_file import BridgeFile, Receivers
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.domain.times import format_duration
from bridge.net.redact import redact


def shown(file: BridgeFile) -> str:
    """bridge.yml again. Secrets are `<secret>`, also in URLs, and so are whole URLs of webhooks.

    With none of them it could be loaded as it is.
    """
    section = file.section
    models = section.models.over(ModelLabels())
    labels = {"project": models.project, "pipeline": models.pipeline, "version": models.version}
    servers = section.prometheus_servers.items()
    others = {name: item.model_dump(mode="json", by_alias=True, exclude_defaults=True) for name, item in servers}
    values = {
        "global": section.global_.model_dump(mode="json"),
        "prometheus": section.prometheus.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        **({"prometheus_servers": others} if others else {}),
        "models": {
            "labels": {part: _reference(ref) for part, ref in labels.items()},
            "retire_after": format_duration(section.models.retire_after),
        },
        "rule_files": list(section.rule_files),
        "route": section.route.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        "receivers": _receivers(file.receivers),
        "time_intervals": list(section.time_intervals),
        "gates": section.gates.model_dump(mode="json", exclude_none=True),
        "dry_run": section.dry_run,
    }
    return yaml.safe_dump(_hidden(values), sort_keys=False, allow_unicode=True)


def _reference(ref: LabelRef) -> object:
    return ref.label if ref.const is None else {"const": ref.const}


def _receivers(receivers: Receivers) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name, entries in receivers.items():
        configs: dict[str, Any] = {"name": name}
        for integration, config in entries:
            values = config.model_dump(mode="json", by_alias=True, exclude_defaults=True)
            configs.setdefault(f"{integration}_configs", []).append(values)
        found.append(configs)
    return found


def _hidden(value: Any) -> Any:
    """Redact every text by itself: over the whole file a pattern could swallow its structure."""
    if isinstance(value, dict):
        return {key: _hidden(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_hidden(item) for item in value]
    return redact(value) if isinstance(value, str) else value
