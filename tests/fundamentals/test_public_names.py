"""The library as people import it: `from bridge import ...`."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, assert_type

import pytest

import bridge
from bridge import Drift, Latency, ModelKey, ModelSubject, RetrainObserver, RetrainRequest, ThresholdStrategy

MODEL = ModelKey("shop", "ranking", "7")


def test_every_public_name_is_there() -> None:
    assert sorted(bridge.__all__) == bridge.__all__
    assert all(getattr(bridge, name) is not None for name in bridge.__all__)
    assert set(dir(bridge)) == set(bridge.__all__)


def test_a_name_that_is_not_public_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'bridge' has no attribute 'Nothing'"):
        bridge.Nothing  # noqa: B018


def test_import_alone_loads_nothing_heavy() -> None:
    code = "import sys, bridge; print(sorted({'numpy', 'pydantic', 'requests', 'sqlalchemy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "[]"


def test_types_reach_the_user() -> None:
    """mypy checks this file: the public names keep their types though they are loaded late."""
    found: list[RetrainRequest] = []
    subject = ModelSubject()
    subject.attach(RetrainObserver(MODEL, ThresholdStrategy(max_drift_p=0.6), found.append))
    subject.notify(Drift(0, 0.702))
    assert_type(found[0].reason, str)
    assert_type(found[0].model, ModelKey)
    assert found[0].reason == "drift 0.702 above 0.6"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Drift(0, score="high"), TypeError, "Drift: score must be a number, not 'high'"),  # type: ignore[arg-type]
        (lambda: Latency(0, value_ms=True), TypeError, "Latency: value_ms must be a number, not True"),
        (lambda: Drift(0.5, 0.1), TypeError, "Drift: timestamp must be whole milliseconds since the epoch, not 0.5"),  # type: ignore[arg-type]
        (lambda: bridge.Custom(0, 3, {}), TypeError, "Custom: name must be text, not 3"),  # type: ignore[arg-type]
        (lambda: bridge.InferenceError(0, None, 0.1), TypeError, "InferenceError: message must be text, not None"),  # type: ignore[arg-type]
        (lambda: ModelKey("shop", "ranking", 7), TypeError, "project, pipeline and version must be text, not 7"),  # type: ignore[arg-type]
        (lambda: ThresholdStrategy(), ValueError, "ThresholdStrategy needs a limit"),
        (lambda: ThresholdStrategy(max_drift_p="0.6"), TypeError, "max_drift_p must be a number, not '0.6'"),  # type: ignore[arg-type]
        (lambda: ThresholdStrategy(max_drift_p=float("nan")), TypeError, "max_drift_p must be a number, not nan"),
    ],
)  # fmt: skip
def test_wrong_values_are_refused_by_name(make: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_nan_is_an_observation() -> None:
    assert ThresholdStrategy(max_drift_p=0.6).analyse(MODEL, Drift(0, float("nan"))) is None
