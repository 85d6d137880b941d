"""Digits of floating-point numbers as Go writes them."""

from __future__ import annotations

import math
import struct

_SHORT_LIMIT = 1e6


def binary(value: float) -> str:
    """Return a number as its mantissa and its power of two."""
    bits = struct.unpack(">Q", struct.pack(">d", abs(value)))[0]
    exponent, mantissa = bits >> 52, bits & (2**52 - 1)
    mantissa, exponent = (mantissa + 2**52, exponent) if exponent else (mantissa, 1)
    return f"{'-' if math.copysign(1, value) < 0 else ''}{mantissa}p{exponent - 1075:+d}"


def shortest(value: float) -> str:
    """Return a finite number with the fewest digits that tell it apart, with an exponent below 1e-4 and from 1e+06."""
    text = repr(value)
    if abs(value) < _SHORT_LIMIT or "e" in text:
        return text.removesuffix(".0")
    sign, plain = ("-", text[1:]) if text[0] == "-" else ("", text)
    whole, _, rest = plain.partition(".")
    significant = (whole + rest).rstrip("0")
    point = f".{significant[1:]}" if len(significant) > 1 else ""
    return f"{sign}{significant[0]}{point}e{len(whole) - 1:+03d}"


def hexadecimal(value: float, precision: int | None) -> str:
    """Return a finite number in hexadecimal with a binary exponent; precision None = as many digits as needed."""
    if value == 0:
        sign = "-" if math.copysign(1, value) < 0 else ""
        return f"{sign}0x0{'.' + '0' * precision if precision else ''}p+00"
    mantissa, exponent = math.frexp(abs(value))
    mantissa, exponent = mantissa * 2, exponent - 1
    places = 13 if precision is None else precision
    scaled = round((mantissa - 1) * 16**places) if places <= 13 else int((mantissa - 1) * 16**13) * 16 ** (places - 13)
    if scaled == 16**places and places:
        scaled, exponent = 0, exponent + 1
    digits = f"{scaled:0{places}x}" if places else ""
    digits = digits.rstrip("0") if precision is None else digits
    return f"{'-' if value < 0 else ''}0x1{'.' + digits if digits else ''}p{exponent:+03d}"
