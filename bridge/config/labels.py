"""Label sets and label mappings in files, with what may not be in them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, WithJsonSchema

from bridge.domain.limits import LARGEST_LABELS, LONGEST_PART
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.domain.times import DAY
from bridge.files.validation import PositiveDurationField, Section
from bridge.files.yaml import Document, KeyPath
from bridge.ports.request_alerts import RESERVED_LABELS

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_NAME_HINT = "letters, digits and _, no digit first"


def _ref(value: object) -> LabelRef:
    if isinstance(value, str):
        if not value.strip() or not value.isprintable():
            raise ValueError(f"{value!r} is not a label name; a fixed text is written {{const: TEXT}}")
        return LabelRef(value)
    if isinstance(value, dict) and set(value) == {"const"}:
        if isinstance(value["const"], str) and 0 < len(value["const"]) <= LONGEST_PART:
            return LabelRef(const=value["const"])
        raise ValueError(f"const must be text of 1 to {LONGEST_PART} characters: quote it")
    raise ValueError("must be the name of a series label, or {const: TEXT}")


_REF_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": "^.*[^ ].*$"},
        {
            "type": "object", "required": ["const"], "additionalProperties": False,
            "properties": {"const": {"type": "string", "minLength": 1, "maxLength": LONGEST_PART}},
        },
    ]
}  # fmt: skip
Ref = Annotated[Any, AfterValidator(_ref), WithJsonSchema(_REF_SCHEMA, mode="validation")]


class LabelsModel(Section):
    """Names of the series labels that contain the project, the pipeline and the version of a model."""

    project: Ref = None
    pipeline: Ref = None
    version: Ref = None

    def over(self, base: ModelLabels) -> ModelLabels:
        """Return this mapping, with `base` for the parts that are not given."""
        return ModelLabels(self.project or base.project, self.pipeline or base.pipeline, self.version or base.version)


class ModelsModel(Section):
    """`models: {labels: {version: model_version}}`: series labels that identify a model."""

    not_built = frozenset({"expected"})
    labels: LabelsModel = LabelsModel()
    retire_after: PositiveDurationField = 7 * DAY

    def over(self, base: ModelLabels) -> ModelLabels:
        """Return the labels, with `base` for the parts that are not given."""
        return self.labels.over(base)


def check_labels(
    labels: Mapping[str, str], document: Document, path: KeyPath, taken: Mapping[str, str], *, templates: bool = False
) -> None:
    """Note names that are invalid, reserved, or in `taken` (name -> where it is set).

    templates: values may be templates, which are checked elsewhere.
    """
    check_names(labels, document, path)
    if sum(len(f"{name}{value}".encode()) for name, value in labels.items()) > LARGEST_LABELS:
        document.add(path, f"labels have at most {LARGEST_LABELS} bytes in all: they are sent with every request")
    for name, value in labels.items():
        if name in RESERVED_LABELS:
            document.add((*path, name), f"label {name!r} is set by the bridge itself", "choose another name")
        elif name in taken:
            document.add((*path, name), f"label {name!r} is also set in {taken[name]}", "choose another name")
        if "{{" in value and not templates:
            hint = "templates belong in the labels and annotations of rules"
            document.add((*path, name), f"label {name!r} holds a template", hint)


def check_names(names: Iterable[str], document: Document, path: KeyPath) -> None:
    """Note names of labels or annotations that Prometheus and Alertmanager refuse."""
    for name in names:
        if not _NAME.fullmatch(name):
            document.add((*path, name), f"{name!r} is not a label name", _NAME_HINT)
