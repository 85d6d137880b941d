"""Functions that Prometheus adds to templates. tests/integration compares them with a real Prometheus."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.templates.errors import CallError
from bridge.templates.gotime import GoTime
from bridge.templates.prometheus import STATIC, Context, functions_of, to_float
from bridge.templates.values import Sample, Vector

VECTOR = Vector([Sample({"job": "b"}, 2.0), Sample({"job": "a", "__value__": "s"}, 1.0)])
INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("name", "arguments", "result"),
    [
        ("humanize", (1234567.0,), "1.235M"), ("humanize", (0.0012,), "1.2m"), ("humanize", ("999",), "999"),
        ("humanize", (-1e27,), "-1000Y"), ("humanize", (INF,), "+Inf"), ("humanize1024", (1048576.0,), "1Mi"),
        ("humanize1024", (1.0,), "1"), ("humanizeDuration", (3723.0,), "1h 2m 3s"),
        ("humanizeDuration", (-90061.0,), "-1d 1h 1m 1s"), ("humanizeDuration", (0.05,), "50ms"),
        ("humanizeDuration", (59.5,), "59.5s"), ("humanizeDuration", (0.0,), "0s"),
        ("humanizePercentage", (0.12345,), "12.35%"), ("humanizeTimestamp", (NAN,), "NaN"),
        ("toTime", (-1.5,), GoTime(-1500)), ("title", ("a b_c-d",), "A B_c-D"),
        ("toUpper", ("stra\u00dfe",), "STRA\u00dfE"),
        ("match", ("b+", "abbc"), True), ("match", ("^b", "abbc"), False),
        ("reReplaceAll", ("(a)(?P<x>b)?", "<$1${x}$$$9>", "abca"), "<ab$>c<a$>"),
        ("reReplaceAll", ("x*", "-", "abc"), "-a-b-c-"),
        ("stripPort", ("host:80",), "host"), ("stripPort", ("[::1]:80",), "::1"), ("stripPort", ("a:b:c",), "a:b:c"),
        ("stripDomain", ("host.example:80",), "host:80"), ("stripDomain", ("10.0.0.1:80",), "10.0.0.1:80"),
        ("first", (VECTOR,), VECTOR[0]), ("sortByLabel", ("job", VECTOR), VECTOR[::-1]),
        ("label", ("job", VECTOR[0]), "b"), ("label", ("nope", VECTOR[0]), ""), ("value", (VECTOR[0],), 2.0),
        ("strvalue", (VECTOR[1],), "s"), ("args", (1, "a"), {"arg0": 1, "arg1": "a"}),
        ("parseDuration", ("1h30m",), 5400.0), ("graphLink", ("up == 1",), "/graph?g0.expr=up+%3D%3D+1&g0.tab=0"),
        ("tableLink", ("up",), "/graph?g0.expr=up&g0.tab=1"),
    ],
)  # fmt: skip
def test_results(name: str, arguments: tuple[Any, ...], result: Any) -> None:
    assert STATIC[name].call(*arguments) == result


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("first", (Vector(),), "vector with no elements"),
        ("value", (None,), "nil pointer dereference"),
        ("match", ("(", "x"), r"error parsing regexp: missing closing \): `\(`"),
        ("match", ("]{1,50}" * 864, "x"), r"error parsing regexp: expression too large: `\]\{1,50\}"),  # seconds of CPU
        ("parseDuration", ("soon",), "not a valid duration string"),
        ("toTime", (INF,), "value is NaN or Inf"),
        ("humanize", ("1e999",), "value out of range"),
        ("humanize", ("abc",), "invalid syntax"),
        ("humanize", (True,), "can't convert bool to float"),
    ],
)
def test_errors(name: str, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(CallError, match=message):
        STATIC[name].call(*arguments)


@pytest.mark.parametrize(
    ("text", "value"), [("1_000.5", 1000.5), ("0x1p4", 16.0), ("-Inf", -INF), (".5e1", 5.0), (3, 3.0)]
)
def test_texts_are_read_as_go_reads_floats(text: Any, value: float) -> None:
    assert to_float(text) == value


def test_queries_of_one_expansion_are_counted() -> None:
    """Each runs at the instant of the expansion; another expansion counts anew."""
    seen: list[tuple[str, int]] = []

    def nothing(expr: str, at: int) -> list[Sample]:
        seen.append((expr, at))
        return []

    context = Context(5000, "http://p/x/y", nothing, max_queries=1)
    functions = functions_of(context)
    assert functions["query"].call("up") == []
    with pytest.raises(CallError, match="more than 1 queries"):
        functions["query"].call("up")
    assert functions_of(context)["query"].call("down") == []
    assert seen == [("up", 5000), ("down", 5000)]
    assert [functions[name].call() for name in ("now", "externalURL", "pathPrefix")] == [5.0, "http://p/x/y", "/x/y"]
