"""Values of templates: Go's types that Python lacks, their names, and their truth.

Python's str, float, int, bool, None and dict stand for string, float64, int, bool, nil and map[string]string.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, ClassVar


class Html(str):
    """Text that is marked as safe HTML."""

    __slots__ = ()


class Arguments(dict[str, Any]):
    """Result of args: arg0, arg1, ... by name."""


class Vector(list[Any]):
    """Result of query: samples."""


@dataclass(frozen=True, slots=True)
class Function:
    """A function or method of templates.

    call: its code; raises CallError. parameters: types of the fixed ones. more: type of those that may follow.
    """

    call: Callable[..., Any]
    parameters: tuple[str, ...] = ()
    more: str | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample of a query result.

    Labels: of its series, with the name of the metric as __name__. Value: the number.
    """

    Labels: Mapping[str, str]
    Value: float


@dataclass(slots=True)  # to freeze one for each annotation of 100,000 alerts would take a third of its expansion
class AlertData:
    """Data of an alert's template: the cursor `.`.

    limit: of the strategy, in the signal's unit, as `.Threshold`; None where the rule has none.
    """

    Labels: Mapping[str, str]
    ExternalLabels: Mapping[str, str]
    ExternalURL: str
    Value: float
    limit: float | None = None
    go_methods: ClassVar[Mapping[str, Function]]


AlertData.go_methods = {"Threshold": Function(lambda data: "" if data.limit is None else data.limit)}


@dataclass(frozen=True, slots=True)
class Zero:
    """Invalid value of Go's reflection: the zero element of a map without values."""


ANY, STRING, FLOAT, VECTOR, SAMPLE = "interface {}", "string", "float64", "template.queryResult", "*template.sample"


DATA_TYPE = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value float64 }"


def type_name(value: Any) -> str:  # noqa: C901, PLR0911 - one for each type
    """Return the name of a value's type as Go prints it."""
    match value:
        case None:
            return "<nil>"
        case bool():
            return "bool"
        case Html():
            return "template.HTML"
        case str():
            return "string"
        case float():
            return "float64"
        case int():
            return "int"
        case Vector():
            return "template.queryResult"
        case Sample():
            return "*template.sample"
        case AlertData():
            return DATA_TYPE
        case Arguments():
            return "map[string]interface {}"
        case Mapping():
            return "map[string]string"
        case bytes():
            return "uint8"
    name: str = getattr(type(value), "go_type", type(value).__name__)
    return name


def is_true(value: Any) -> bool:
    """Return whether a value counts as true in if, with, and, or and not."""
    if value is None or isinstance(value, Zero):
        return False
    if isinstance(value, bool | int | float | str | Mapping | list):
        return bool(value)
    return True


def struct_fields(value: Any) -> list[tuple[str, Any]]:
    """Return name and value of the exported fields of a struct."""
    if not is_dataclass(value):
        return []
    return [(item.name, getattr(value, item.name)) for item in fields(value) if item.name[0].isupper()]
