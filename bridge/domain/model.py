"""Identity of running models, and the table that numbers them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import NewType

import msgspec

ModelRow = NewType("ModelRow", int)  # index of a model in ModelTable, and of its row in every column


class PipelineKey(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Identity of a retrainable pipeline of a project. Cooldown, in-flight limit and budget apply per pipeline."""

    project: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.project}/{self.pipeline}"


class ModelKey(msgspec.Struct, frozen=True, order=True, gc=False, cache_hash=True):
    """Identity of a running model: the version of a pipeline of a project."""

    project: str
    pipeline: str
    version: str

    def __post_init__(self) -> None:
        if type(self.project) is type(self.pipeline) is type(self.version) is str:  # fast, and nearly always so
            return
        for part in (self.project, self.pipeline, self.version):
            if not isinstance(part, str):
                raise TypeError(f"ModelKey: project, pipeline and version must be text, not {part!r}")

    @property
    def owner(self) -> PipelineKey:
        """Pipeline that the model is a version of."""
        return PipelineKey(self.project, self.pipeline)

    def labels(self) -> dict[str, str]:
        """Return the identity as labels `project`, `pipeline` and `version`."""
        return {"project": self.project, "pipeline": self.pipeline, "version": self.version}

    def __str__(self) -> str:
        return f"{self.project}/{self.pipeline}/{self.version}"


@dataclass(slots=True)
class ModelTable:
    """Models by row: row i of every column belongs to models[i]. Append-only: rows never move. Thread-safe."""

    models: list[ModelKey] = field(default_factory=list)
    _rows: dict[ModelKey, ModelRow] = field(default_factory=dict)
    _versions: dict[PipelineKey, list[ModelRow]] = field(default_factory=dict)
    _grouped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def row(self, model: ModelKey) -> ModelRow:
        """Return the row of `model`; a new model gets the next free row."""
        row = self._rows.get(model)
        if row is not None:
            return row
        with self._lock:
            row = self._rows.get(model)
            if row is None:
                row = ModelRow(len(self.models))
                self.models.append(model)
                self._rows[model] = row
        return row

    def find(self, model: ModelKey) -> ModelRow | None:
        """Return the row of `model`, or None if it has none."""
        return self._rows.get(model)

    def versions(self, row: int) -> list[ModelRow]:
        """Return the rows of every version of the pipeline that the model at `row` belongs to, ascending."""
        return self.of(self.models[row].owner)

    def of(self, owner: PipelineKey) -> list[ModelRow]:
        """Return the rows of every version of a pipeline, ascending."""
        with self._lock:
            for row in range(self._grouped, len(self.models)):
                self._versions.setdefault(self.models[row].owner, []).append(ModelRow(row))
            self._grouped = len(self.models)
            return list(self._versions.get(owner, ()))

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, row: int) -> ModelKey:
        return self.models[row]
