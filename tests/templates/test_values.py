"""Values of templates: Go's names of types, and what counts as true."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.templates.gotime import GoTime
from bridge.templates.values import (
    DATA_TYPE,
    AlertData,
    Arguments,
    Html,
    Sample,
    Vector,
    Zero,
    is_true,
    struct_fields,
    type_name,
)

DATA = AlertData({"a": "x"}, {}, "http://p", 1.5, 0.6)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "<nil>"), (True, "bool"), (1, "int"), (1.0, "float64"), ("a", "string"), (Html("a"), "template.HTML"),
        (Vector(), "template.queryResult"), (Sample({}, 1.0), "*template.sample"), (DATA, DATA_TYPE),
        (Arguments(), "map[string]interface {}"), ({}, "map[string]string"), (b"a", "uint8"), (GoTime(0), "*time.Time"),
    ],
)  # fmt: skip
def test_types_have_gos_names(value: Any, name: str) -> None:
    assert type_name(value) == name


@pytest.mark.parametrize("value", [None, Zero(), False, 0, 0.0, "", {}, Vector(), Arguments()])
def test_empty_values_are_false(value: Any) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", [True, -1, float("nan"), "false", {"a": ""}, Vector([1]), Sample({}, 0.0), DATA])
def test_other_values_are_true(value: Any) -> None:
    """A struct is true, whatever its fields are."""
    assert is_true(value)


def test_fields_of_a_struct_are_its_exported_ones() -> None:
    assert struct_fields(DATA) == [
        ("Labels", {"a": "x"}), ("ExternalLabels", {}), ("ExternalURL", "http://p"), ("Value", 1.5),
    ]  # fmt: skip
    assert struct_fields("a") == []


def test_the_threshold_is_empty_without_a_limit() -> None:
    """Zero is a limit."""
    threshold = AlertData.go_methods["Threshold"].call
    assert [threshold(AlertData({}, {}, "", 1.0, limit)) for limit in (None, 0.0, 0.6)] == ["", 0.0, 0.6]
