"""Retrain Bridge: from a bad metric in Prometheus to one durable, explained request to retrain the right model.

The names in `__all__` are the library: import them from here (`from bridge import ModelSubject`). Each is loaded on
first use, so that `import bridge` alone stays cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.domain.batch import EventBatch, EventKind
    from bridge.domain.errors import BridgeError, InternalError, MissingDataError, StrategyError
    from bridge.domain.event import Custom, Drift, InferenceError, Latency, ModelEvent
    from bridge.domain.model import ModelKey, ModelTable, PipelineKey
    from bridge.domain.request import Evidence, RetrainRequest
    from bridge.domain.verdict import Cause, Code, Verdicts
    from bridge.engine.evaluation.subject import ModelSubject, RetrainObserver
    from bridge.strategies.base import RetrainStrategy, StateColumn, StrategyConfig
    from bridge.strategies.threshold import Limits, ThresholdStrategy

__version__ = "0.1.0"

__all__ = [
    "BridgeError",
    "Cause",
    "Code",
    "Custom",
    "Drift",
    "EventBatch",
    "EventKind",
    "Evidence",
    "InferenceError",
    "InternalError",
    "Latency",
    "Limits",
    "MissingDataError",
    "ModelEvent",
    "ModelKey",
    "ModelSubject",
    "ModelTable",
    "PipelineKey",
    "RetrainObserver",
    "RetrainRequest",
    "RetrainStrategy",
    "StateColumn",
    "StrategyConfig",
    "StrategyError",
    "ThresholdStrategy",
    "Verdicts",
    "__version__",
]

_MODULES = {
    "bridge.domain.batch": ("EventBatch", "EventKind"),
    "bridge.domain.errors": ("BridgeError", "InternalError", "MissingDataError", "StrategyError"),
    "bridge.domain.event": ("Custom", "Drift", "InferenceError", "Latency", "ModelEvent"),
    "bridge.domain.model": ("ModelKey", "ModelTable", "PipelineKey"),
    "bridge.domain.request": ("Evidence", "RetrainRequest"),
    "bridge.domain.verdict": ("Cause", "Code", "Verdicts"),
    "bridge.engine.evaluation.subject": ("ModelSubject", "RetrainObserver"),
    "bridge.strategies.base": ("RetrainStrategy", "StateColumn", "StrategyConfig"),
    "bridge.strategies.threshold": ("Limits", "ThresholdStrategy"),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    """Load a public name on first use."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bridge' has no attribute {name!r}")
    found: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
