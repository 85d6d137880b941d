"""Go's fmt: verbs, flags, and what it prints for mistakes."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.templates import fmt
from bridge.templates.errors import CallError
from bridge.templates.values import Sample


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("%d%%", [7], "7%"),
        ("%05d|%-5d|%+d|% d", [7, 7, 7, 7], "00007|7    |+7|" + " 7"),
        ("%x %X %#x %o %b %O", [255, 255, 255, 8, 5, 8], "ff FF 0xff 10 101 0o10"),
        ("%c %q %U %#U", [97, 97, 97, 97], "a 'a' U+0061 U+0061 'a'"),
        ("%.2f %6.1f %e %g %G", [1.005, 2.25, 1e6, 1e-7, 1e-7], "1.00    2.2 1.000000e+06 1e-07 1E-07"),
        ("%08.3f|%+.1f", [-3.14159, 2.0], "-003.142|+2.0"),
        ("%s %q %5s|%-5s|%.2s", ["a", 'b"', "c", "d", "efg"], 'a "b\\""     c|d    |ef'),
        ("%x %X %# x", ["hi", "hi", "hi"], "6869 6869 0x68 0x69"),
        ("%t %v", [True, False], "true false"),
        ("%T %T %T", ["a", 1, None], "string int <nil>"),
        ("%[2]d %[1]d", [1, 2], "2 1"),
        ("%*d|%-*d|%.*f", [4, 7, 4, 7, 1, 2.55], "   7|7   |2.5"),
        ("%v %+v", [{"b": "2", "a": "1"}, ["x"]], "map[a:1 b:2] [x]"),
        ("%#v", ["a"], '"a"'),
        ("%v", [float("nan")], "NaN"),
        ("%5v|%+v", [float("inf"), float("inf")], " +Inf|+Inf"),
    ],
)
def test_verbs_print_as_in_go(form: str, values: list[Any], text: str) -> None:
    assert fmt.sprintf(form, values) == text


@pytest.mark.parametrize(
    ("form", "values", "text"),
    [
        ("%d", ["x"], "%!d(string=x)"),
        ("%d", [], "%!d(MISSING)"),
        ("%d", [1, "y"], "1%!(EXTRA string=y)"),
        ("100%", [], "100%!(NOVERB)"),
        ("%[3]d", [1], "%!d(BADINDEX)"),
        ("%[x]d", [1], "%!d(BADINDEX)"),
        ("%*d", ["a", 1], "%!(BADWIDTH)1"),
        ("%.*d", [-1, 1], "%!(BADPREC)1"),
        ("%s", [None], "%!s(<nil>)"),
        ("%z", [1.5], "%!z(float64=1.5)"),
        ("%s", [True], "%!s(bool=true)"),
    ],
)
def test_errors_are_printed_as_in_go(form: str, values: list[Any], text: str) -> None:
    assert fmt.sprintf(form, values) == text


def test_a_width_is_bounded() -> None:
    assert len(fmt.sprintf("%10000d", [1])) == fmt.WIDEST
    for form in ("%10001d", "%.10001f"):
        with pytest.raises(CallError, match="width or precision above"):
            fmt.sprintf(form, [1])


def test_spaces_between_values() -> None:
    """Sprint: between two values that are no strings. Sprintln: everywhere."""
    assert fmt.sprint([1, 2, "a", 3, 4.5]) == "1 2a3 4.5"
    assert fmt.sprintln([1, "a", 2]) == "1 a 2\n"
    assert (fmt.sprint([]), fmt.sprintln([])) == ("", "\n")


def test_a_sample_is_a_pointer_except_in_an_action() -> None:
    sample = Sample({"a": "x"}, 1.5)
    assert fmt.show(sample) == "&{map[a:x] 1.5}"
    assert fmt.show([sample]) == "[{map[a:x] 1.5}]"
    assert fmt.show_struct(sample) == "{map[a:x] 1.5}"


def test_strings_are_quoted_as_go_literals() -> None:
    assert fmt.quote('a\n"\\\x01\u00e9\U0001f600') == '"a\\n\\"\\\\\\x01\u00e9\U0001f600"'
    assert fmt.quote("\u00e9\U0001f600", ascii_only=True) == '"\\u00e9\\U0001f600"'
