"""Events check their values when they are made."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bridge.domain.event import Custom, Drift, InferenceError, Latency, ModelEvent


@pytest.mark.parametrize(
    ("event", "values", "message"),
    [
        (Drift, (0, "high"), "Drift: score must be a number, not 'high'"),
        (Drift, (0.5, 0.1), "Drift: timestamp must be whole milliseconds since the epoch, not 0.5"),
        (Latency, (0, True), "Latency: value_ms must be a number, not True"),
        (InferenceError, (0, 5, 0.1), "InferenceError: message must be text, not 5"),
        (InferenceError, (0, "e", None), "InferenceError: rate must be a number, not None"),
        (Custom, (0, 1, {}), "Custom: name must be text, not 1"),
    ],
)
def test_a_wrong_value_is_refused_with_field_and_type(
    event: Callable[..., ModelEvent], values: tuple[object, ...], message: str
) -> None:
    """The message names the event, the field and what it must be."""
    with pytest.raises(TypeError) as error:
        event(*values)
    assert str(error.value) == message


def test_nan_and_integers_are_accepted() -> None:
    """Strategies treat NaN as inconclusive."""
    assert Drift(0, 1).score == 1
    assert Latency(0, float("nan")).value_ms != 0
