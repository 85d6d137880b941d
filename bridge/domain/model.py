"""Who a running model is."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, order=True)
class PipelineKey:
    """What is retrained: a pipeline of a project. Cooldown, in-flight and budget are kept by it."""

    project: str
    pipeline: str

    def __str__(self) -> str:
        return f"{self.project}/{self.pipeline}"


@dataclass(frozen=True, slots=True, order=True)
class ModelKey:
    """Identity of a running model: the version of a pipeline of a project."""

    project: str
    pipeline: str
    version: str

    def __post_init__(self) -> None:
        for part in (self.project, self.pipeline, self.version):
            if not isinstance(part, str):
                raise TypeError(f"ModelKey: project, pipeline and version must be text, not {part!r}")

    @property
    def owner(self) -> PipelineKey:
        return PipelineKey(self.project, self.pipeline)

    def labels(self) -> dict[str, str]:
        return {"project": self.project, "pipeline": self.pipeline, "version": self.version}

    def __str__(self) -> str:
        return f"{self.project}/{self.pipeline}/{self.version}"


@dataclass(slots=True)
class ModelTable:
    """Models by row: row i of every column belongs to models[i]. Grows, never shrinks or reorders."""

    models: list[ModelKey] = field(default_factory=list)
    _rows: dict[ModelKey, int] = field(default_factory=dict)
    _versions: dict[PipelineKey, list[int]] = field(default_factory=dict)
    _grouped: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def row(self, model: ModelKey) -> int:
        """The row of `model`; a new model gets the next free one. Thread-safe: groups fetch side by side."""
        found = self._rows.get(model)
        if found is not None:
            return found
        with self._lock:
            found = self._rows.get(model)
            if found is None:
                found = len(self.models)
                self.models.append(model)
                self._rows[model] = found
        return found

    def find(self, model: ModelKey) -> int | None:
        return self._rows.get(model)

    def versions(self, row: int) -> list[int]:
        """The rows of every version of the pipeline that the model at `row` is one of, in order."""
        return self.of(self.models[row].owner)

    def of(self, owner: PipelineKey) -> list[int]:
        """The rows of every version of a pipeline, in order."""
        with self._lock:
            for place in range(self._grouped, len(self.models)):
                self._versions.setdefault(self.models[place].owner, []).append(place)
            self._grouped = len(self.models)
            return list(self._versions.get(owner, ()))

    def __len__(self) -> int:
        return len(self.models)

    def __getitem__(self, row: int) -> ModelKey:
        return self.models[row]
