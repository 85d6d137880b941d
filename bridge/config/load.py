"""Loads bridge.yml with all its rule files, or says everything that is wrong with them."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml as pyyaml
from pydantic import BaseModel

from bridge.config.bridge_file import BridgeFile, GlobalSection, Receivers, read_bridge_file
from bridge.config.rule_file import Defaults, read_rule_file
from bridge.config.yaml import Document, read
from bridge.domain.errors import ConfigError, Problem
from bridge.domain.route import Route
from bridge.domain.rule import Gates, Group, ModelLabels
from bridge.domain.times import format_duration
from bridge.net.redact import redact
from bridge.sources.config import PrometheusConfig


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """All that the files say. base_dir: folder of bridge.yml, to which paths in it are relative."""

    global_: GlobalSection
    prometheus: PrometheusConfig
    models: ModelLabels
    groups: tuple[Group, ...]
    route: Route
    receivers: Mapping[str, tuple[tuple[str, BaseModel], ...]]
    gates: Gates
    base_dir: Path
    rule_paths: tuple[Path, ...]
    _shown: str

    def redacted(self) -> str:
        """bridge.yml as it is in force, as YAML; secrets are `<secret>`, defaults are spelled out."""
        return self._shown


def load(path: Path) -> BridgeConfig:
    """Read `path` and its rule files. ConfigError with every problem of all of them."""
    document = read(path)
    problems = document.problems
    file = read_bridge_file(document)
    base_dir = path.parent
    paths, groups = _rule_files(file, document, base_dir)
    if problems or file is None or file.route is None:
        raise ConfigError(problems)
    return BridgeConfig(
        global_=file.section.global_,
        prometheus=file.section.prometheus,
        models=file.section.models.over(ModelLabels()),
        groups=groups,
        route=file.route,
        receivers=file.receivers,
        gates=file.gates,
        base_dir=base_dir,
        rule_paths=paths,
        _shown=_shown(file),
    )


def check_rules(paths: Iterable[Path]) -> list[Problem]:
    """What is wrong with rule files by themselves, with the defaults of an empty bridge.yml."""
    problems: list[Problem] = []
    defaults = _defaults(None)
    for path in paths:
        _read_rules(path, str(path), defaults, problems)
    return sorted(problems)


def _rule_files(
    file: BridgeFile | None, document: Document, base_dir: Path
) -> tuple[tuple[Path, ...], tuple[Group, ...]]:
    """The rule files that the globs name, in order, and their groups; problems go to `document`."""
    patterns = file.section.rule_files if file is not None else _patterns_anyway(document)
    defaults = _defaults(file)
    paths: dict[Path, None] = {}
    for number, pattern in enumerate(patterns):
        found = sorted(glob.glob(pattern, root_dir=base_dir, recursive=True))  # noqa: PTH207 - patterns may be absolute
        if not found:
            document.add(("rule_files", number), f"no file matches {pattern!r} in {base_dir or Path()}")
        paths |= dict.fromkeys(base_dir / name for name in found)
    groups = [group for path in paths for group in _read_rules(path, str(path), defaults, document.problems)]
    return tuple(paths), tuple(groups)


def _patterns_anyway(document: Document) -> list[str]:
    """bridge.yml is wrong; its rule files may be wrong as well, and all errors are told at once."""
    value = document.value.get("rule_files") if isinstance(document.value, dict) else None
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []


def _read_rules(path: Path, shown: str, defaults: Defaults, problems: list[Problem]) -> list[Group]:
    try:
        document = read(path, shown)
    except ConfigError as error:
        problems.extend(error.problems)
        return []
    groups = read_rule_file(document, defaults)
    problems.extend(document.problems)
    return groups


def _defaults(file: BridgeFile | None) -> Defaults:
    if file is None:
        plain = GlobalSection()
        return Defaults(plain.evaluation_interval, plain.query_offset, ModelLabels(), {})
    common = file.section.global_
    models = file.section.models.over(ModelLabels())
    return Defaults(common.evaluation_interval, common.query_offset, models, common.external_labels)


def _shown(file: BridgeFile) -> str:
    section = file.section
    values = section.model_dump(mode="json", by_alias=True, exclude={"receivers", "models"}, exclude_none=True)
    for part, keys in (("global", GlobalSection.model_fields), ("gates", type(section.gates).model_fields)):
        for key in keys:
            if isinstance(values[part].get(key), int):
                values[part][key] = format_duration(values[part][key])
    models = section.models.over(ModelLabels())
    parts = {"project": models.project, "pipeline": models.pipeline, "version": models.version}
    values["models"] = {
        "labels": {part: {"const": ref.const} if ref.const else ref.label for part, ref in parts.items()}
    }
    values["receivers"] = _shown_receivers(file.receivers)
    return redact(pyyaml.safe_dump(values, sort_keys=False, allow_unicode=True))


def _shown_receivers(receivers: Receivers) -> list[dict[str, object]]:
    shown: list[dict[str, object]] = []
    for name, entries in receivers.items():
        configs: dict[str, list[object]] = {}
        for integration, config in entries:
            values = config.model_dump(mode="json", exclude_defaults=True)
            configs.setdefault(f"{integration}_configs", []).append(values)
        shown.append({"name": name, **configs})
    return shown
