"""Label sets and label mappings in files, with what may not be in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator

from bridge.config.shape import Section
from bridge.config.yaml import Document, Place
from bridge.domain.rule import LabelRef, ModelLabels
from bridge.engine.notice import RESERVED_LABELS

_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _label_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError(f"{value!r} is not a label name; it is made of letters, digits and _, no digit first")
    return value


def _ref(value: object) -> LabelRef:
    if isinstance(value, str):
        return LabelRef(_label_name(value))
    if isinstance(value, dict) and set(value) == {"const"} and isinstance(value["const"], str) and value["const"]:
        return LabelRef(const=value["const"])
    raise ValueError("must be the name of a series label, or {const: TEXT}")


Ref = Annotated[Any, AfterValidator(_ref)]


class LabelsModel(Section):
    """Which series label each part of a model is read from."""

    project: Ref = None
    pipeline: Ref = None
    version: Ref = None

    def over(self, base: ModelLabels) -> ModelLabels:
        """These, and `base` for the parts that are not given."""
        return ModelLabels(self.project or base.project, self.pipeline or base.pipeline, self.version or base.version)


class ModelsModel(Section):
    """`models: {labels: {version: model_version}}`."""

    not_built = frozenset({"discover"})
    labels: LabelsModel = LabelsModel()

    def over(self, base: ModelLabels) -> ModelLabels:
        return self.labels.over(base)


def check_labels(labels: Mapping[str, str], document: Document, place: Place, taken: Mapping[str, str]) -> None:
    """Names that are valid, not reserved, and not in `taken` (name -> where it is set)."""
    for name in labels:
        where = (*place, name)
        if not _NAME.fullmatch(name):
            document.add(where, f"{name!r} is not a label name", "letters, digits and _, no digit first")
        elif name in RESERVED_LABELS:
            document.add(where, f"label {name!r} is set by the bridge itself", "choose another name")
        elif name in taken:
            document.add(where, f"label {name!r} is also set in {taken[name]}", "choose another name")
