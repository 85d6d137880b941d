"""Digits of floating-point numbers, as Go's %v, %b and %x print them."""

from __future__ import annotations

import random

import pytest

from bridge.templates.floats import binary, hexadecimal, shortest


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.1, "0.1"), (3.0, "3"), (-0.0, "-0"), (999999.0, "999999"), (1e6, "1e+06"), (1234567.5, "1.2345675e+06"),
        (0.0001, "0.0001"), (0.00001, "1e-05"), (-1e21, "-1e+21"), (123456789.0, "1.23456789e+08"),
    ],
)  # fmt: skip
def test_the_fewest_digits_that_identify_a_number(value: float, text: str) -> None:
    assert shortest(value) == text


def test_the_shortest_text_reads_back_as_the_same_number() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(500):
        value = draw.uniform(-1, 1) * 10.0 ** draw.randint(-30, 30)
        assert float(shortest(value)) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "4503599627370496p-52"), (-0.0, "-0p-1074"), (5e-324, "1p-1074"), (0.5, "4503599627370496p-53")],
)
def test_mantissa_and_power_of_two(value: float, text: str) -> None:
    assert binary(value) == text


@pytest.mark.parametrize(
    ("value", "precision", "text"),
    [
        (1.0, None, "0x1p+00"),
        (-1.5, None, "-0x1.8p+00"),
        (0.1, None, "0x1.999999999999ap-04"),
        (0.1, 2, "0x1.9ap-04"),
        (1.999, 1, "0x1.0p+01"),  # rounded up to the next power
        (0.0, 3, "0x0.000p+00"),
        (-0.0, None, "-0x0p+00"),
        (1.0, 15, "0x1.000000000000000p+00"),
    ],
)
def test_hexadecimal_digits(value: float, precision: int | None, text: str) -> None:
    assert hexadecimal(value, precision) == text
