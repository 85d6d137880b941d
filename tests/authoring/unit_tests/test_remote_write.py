"""Remote write, byte by byte."""

from __future__ import annotations

import pytest

from bridge.authoring.unit_tests.remote_write import field, snappy, varint


@pytest.mark.parametrize(
    ("number", "coded"), [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (1 << 35, "808080808001")]
)
def test_numbers_are_in_base_128(number: int, coded: str) -> None:
    """Lowest group first, as protobuf has it."""
    assert varint(number).hex() == coded


def test_a_field_has_its_number_its_length_and_its_bytes() -> None:
    """Wire type 2."""
    assert field(1, b"ab").hex() == "0a026162"


def test_snappy_without_compression_is_length_and_literals() -> None:
    """A literal holds 65536 bytes at most; its length is one less, in two bytes."""
    assert snappy(b"abc").hex() == "03" + "f40200" + "616263"
    long = snappy(b"x" * 70_000)
    assert long[:3] == varint(70_000)
    assert long[3:6].hex() == "f4ffff"
    assert long[6 + 65536 : 9 + 65536].hex() == "f46f11"
    assert len(long) == 3 + 3 + 65536 + 3 + 4464
