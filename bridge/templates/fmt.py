"""Go's fmt: Sprint, Sprintln and Sprintf over the values of templates.

Follows the documentation of package fmt: flags, width, precision, argument indexes, and its words for mistakes such as
%!d(string=x).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bridge.templates.errors import CallError
from bridge.templates.floats import binary, hexadecimal, shortest
from bridge.templates.values import AlertData, Sample, struct_fields, type_name

WIDEST = 10_000
_INDEX = re.compile(r"\[(?:([^\]]*)\])?")
_DIGITS = re.compile(r"\d+")


def sprint(values: Sequence[Any]) -> str:
    """Return the values as text, with a space between two of which none is a string."""
    parts: list[str] = []
    for index, value in enumerate(values):
        if index and not isinstance(value, str) and not isinstance(values[index - 1], str):
            parts.append(" ")
        parts.append(show(value))
    return "".join(parts)


def sprintln(values: Sequence[Any]) -> str:
    """Return the values as text, with spaces between them and a line end."""
    return " ".join(map(show, values)) + "\n"


def show(value: Any) -> str:
    """Return a value as %v prints it."""
    return _argument(value, "v", _Flags())


def sprintf(form: str, values: Sequence[Any]) -> str:
    """Return the values as `form` says. Raises CallError when a width is unreasonable."""
    return _Format(form, values).run()


@dataclass(slots=True)
class _Flags:
    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    plus_v: bool = False
    sharp_v: bool = False
    width: int | None = None
    precision: int | None = None

    def pad(self, text: str, *, zeros: bool = True) -> str:
        """Fill up to the width."""
        missing = (self.width or 0) - len(text)
        if missing <= 0:
            return text
        if self.minus:
            return text + " " * missing
        return ("0" if self.zero and zeros else " ") * missing + text


class _Format:
    """One call of Sprintf."""

    def __init__(self, form: str, values: Sequence[Any]) -> None:
        self._form = form
        self._values = values
        self._at = 0
        self._next = 0
        self._reordered = False
        self._good = True

    def run(self) -> str:
        """Print everything."""
        parts: list[str] = []
        while True:
            found = self._form.find("%", self._at)
            if found < 0:
                parts.append(self._form[self._at :])
                break
            parts.append(self._form[self._at : found])
            self._at = found + 1
            parts.append(self._verb())
        if not self._reordered and self._next < len(self._values):
            extra = (_typed(value, _Flags()) for value in self._values[self._next :])
            parts.append(f"%!(EXTRA {', '.join(extra)})")
        return "".join(parts)

    def _verb(self) -> str:
        flags, before, self._good = self._flags(), "", True
        indexed = self._index()
        if self._take("*"):
            flags.width = self._number_argument()
            before += "" if flags.width is not None else "%!(BADWIDTH)"
            if flags.width is not None and flags.width < 0:
                flags.width, flags.minus, flags.zero = -flags.width, True, False
            indexed = False
        else:
            flags.width = self._number()
            self._good &= not (indexed and flags.width is not None)
        if self._take("."):
            self._good &= not indexed
            indexed = self._index()
            before += self._precision(flags)
        if not indexed:
            self._index()
        if max(flags.width or 0, flags.precision or 0) > WIDEST:
            raise CallError(f"width or precision above {WIDEST}")
        if self._at >= len(self._form):
            return before + "%!(NOVERB)"
        verb = self._form[self._at]
        self._at += 1
        return before + self._print(verb, flags)

    def _flags(self) -> _Flags:
        flags = _Flags()
        while self._at < len(self._form):
            match self._form[self._at]:
                case "#":
                    flags.sharp = True
                case "0":
                    flags.zero = not flags.minus
                case "+":
                    flags.plus = True
                case "-":
                    flags.minus, flags.zero = True, False
                case " ":
                    flags.space = True
                case _:
                    break
            self._at += 1
        return flags

    def _precision(self, flags: _Flags) -> str:
        if not self._take("*"):
            flags.precision = self._number() or 0
            return ""
        flags.precision = self._number_argument()
        if flags.precision is None or flags.precision < 0:
            flags.precision = None
            return "%!(BADPREC)"
        return ""

    def _take(self, char: str) -> bool:
        found = self._form.startswith(char, self._at)
        self._at += found
        return found

    def _number(self) -> int | None:
        match = _DIGITS.match(self._form, self._at)
        if match is None:
            return None
        self._at = match.end()
        return int(match[0][:9])

    def _number_argument(self) -> int | None:
        value = self._values[self._next] if self._next < len(self._values) else None
        self._next += self._next < len(self._values)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def _index(self) -> bool:
        """Read an argument index such as [2]; return whether there was one."""
        match = _INDEX.match(self._form, self._at)
        if match is None:
            return False
        self._reordered = True
        self._at = match.end()
        number = match[1] if match[1] and _DIGITS.fullmatch(match[1]) else ""
        if number and 1 <= int(number[:9]) <= len(self._values):
            self._next = int(number) - 1
            return True
        self._good = False
        return bool(number)

    def _print(self, verb: str, flags: _Flags) -> str:
        if verb == "%":
            return "%"
        if not self._good:
            return f"%!{verb}(BADINDEX)"
        if self._next >= len(self._values):
            return f"%!{verb}(MISSING)"
        if verb == "v":
            flags.sharp_v, flags.sharp = flags.sharp, False
            flags.plus_v, flags.plus = flags.plus, False
        self._next += 1
        return _argument(self._values[self._next - 1], verb, flags)


def _argument(value: Any, verb: str, flags: _Flags, depth: int = 0) -> str:  # noqa: PLR0911 - one for each type
    """Return one value as a verb prints it."""
    if value is None:
        return flags.pad("<nil>") if verb in "Tv" else _bad(value, verb, flags)
    if verb == "T":
        return _string(type_name(value), "s", flags)
    if isinstance(value, bool):
        return flags.pad("true" if value else "false") if verb in "tv" else _bad(value, verb, flags)
    if isinstance(value, float):
        return _float(value, verb, flags)
    if isinstance(value, int):
        return _integer(value, verb, flags)
    if isinstance(value, str):
        return _string(value, verb, flags, value)
    if hasattr(value, "go_string") and verb in "vsxXq" and not flags.sharp_v:
        return _string(value.go_string(), verb, flags)
    return _compound(value, verb, flags, depth)


def _compound(value: Any, verb: str, flags: _Flags, depth: int) -> str:
    def inner(item: Any) -> str:
        return _argument(item, verb, flags, depth + 1)

    if isinstance(value, Mapping):
        pairs = [f"{inner(key)}:{inner(value[key])}" for key in sorted(value)]
        if flags.sharp_v:
            return f"{type_name(value)}{{{', '.join(pairs)}}}"
        return f"map[{' '.join(pairs)}]"
    if isinstance(value, list):
        items = [inner(item) for item in value]
        return f"{type_name(value)}{{{', '.join(items)}}}" if flags.sharp_v else f"[{' '.join(items)}]"
    if isinstance(value, Sample | AlertData):
        named = flags.plus_v or flags.sharp_v
        parts = [(f"{name}:" if named else "") + inner(item) for name, item in struct_fields(value)]
        sign = "&" if isinstance(value, Sample) and depth == 0 else ""
        if flags.sharp_v:
            return f"{sign}{type_name(value).lstrip('*')}{{{', '.join(parts)}}}"
        return f"{sign}{{{' '.join(parts)}}}"
    return _bad(value, verb, flags)


def show_struct(value: Sample) -> str:
    """Return a sample as an action prints it: without the sign of a pointer."""
    return _argument(value, "v", _Flags()).removeprefix("&")


def _typed(value: Any, flags: _Flags) -> str:
    return "<nil>" if value is None else f"{type_name(value)}={_argument(value, 'v', flags)}"


def _bad(value: Any, verb: str, flags: _Flags) -> str:
    return f"%!{verb}({_typed(value, flags)})"


# ---------------------------------------------------------------- text


def _string(text: str, verb: str, flags: _Flags, value: Any = None) -> str:
    if verb == "v" and flags.sharp_v:
        return flags.pad(quote(text))
    if verb in "sv":
        return flags.pad(text if flags.precision is None else text[: flags.precision])
    if verb == "q":
        cut = text if flags.precision is None else text[: flags.precision]
        if flags.sharp and "`" not in cut and all(char.isprintable() or char == "\t" for char in cut):
            return flags.pad(f"`{cut}`")
        return flags.pad(quote(cut, ascii_only=flags.plus))
    if verb in "xX":
        return flags.pad(_hex(text.encode(), verb, flags))
    return _bad(text if value is None else value, verb, flags)


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Return text as a Go string literal."""
    simple = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    simple |= {"\\": "\\\\", '"': '\\"'}
    return '"' + "".join(simple.get(char) or _literal(char, ascii_only=ascii_only) for char in text) + '"'


def _literal(char: str, *, ascii_only: bool = False) -> str:
    if char.isprintable() and (char.isascii() or not ascii_only):
        return char
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _hex(data: bytes, verb: str, flags: _Flags) -> str:
    data = data if flags.precision is None else data[: flags.precision]
    pairs = [f"{byte:02x}" for byte in data]
    prefix = "0x" if flags.sharp else ""
    joined = " ".join(prefix + pair for pair in pairs) if flags.space else (prefix if pairs else "") + "".join(pairs)
    return joined.upper() if verb == "X" else joined


# ---------------------------------------------------------------- numbers


def _integer(value: int, verb: str, flags: _Flags) -> str:
    bases = {"v": "d", "d": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}
    if verb in bases:
        return _based(value, verb, bases[verb], flags)
    if verb in "cqU":
        char = chr(value) if 0 <= value <= 0x10FFFF and not 0xD800 <= value < 0xE000 else "\ufffd"
        if verb == "c":
            return flags.pad(char)
        if verb == "q":
            shown = char.replace("\\", "\\\\").replace("'", "\\'") if char in "\\'" else quote(char)[1:-1]
            shown = char if char == '"' else shown
            return flags.pad(f"'{shown}'")
        text = f"U+{value % 2**64:04X}" + (f" '{char}'" if flags.sharp and char.isprintable() else "")
        return flags.pad(text, zeros=False)
    return _bad(value, verb, flags)


def _based(value: int, verb: str, base: str, flags: _Flags) -> str:
    digits = format(abs(value), base)
    sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
    prefixes = {"b": "0b", "o": "0", "x": "0x", "X": "0X"}
    prefix = prefixes.get(verb.lower() if verb == "O" else verb, "") if flags.sharp else ""
    if flags.precision is not None:
        if flags.precision == 0 and value == 0:
            return " " * (flags.width or 0)
        digits = digits.rjust(flags.precision, "0")
    elif flags.zero and flags.width and not flags.minus:
        digits = digits.rjust(flags.width - bool(sign), "0")
    if prefix == "0" and digits.startswith("0"):
        prefix = ""
    if verb == "O":
        prefix = "0o" + prefix
    return flags.pad(sign + prefix + digits, zeros=False)


def _float(value: float, verb: str, flags: _Flags) -> str:
    if verb not in "vbgGxXfFeE":
        return _bad(value, verb, flags)
    digits = _digits(value, verb, flags)
    sign, bare = (digits[0], digits[1:]) if digits[0] in "+-" else ("+", digits)
    if flags.space and sign == "+" and not flags.plus:
        sign = " "
    if bare in {"Inf", "NaN"}:
        hidden = bare == "NaN" and not flags.space and not flags.plus
        return flags.pad(bare if hidden else sign + bare, zeros=False)
    if flags.sharp and verb != "b":
        bare = _with_point(bare, verb, flags)
    if flags.plus or sign != "+":
        if flags.zero and (flags.width or 0) > len(bare) + 1 and not flags.minus:
            return sign + bare.rjust((flags.width or 0) - 1, "0")
        return flags.pad(sign + bare)
    return flags.pad(bare)


def _digits(value: float, verb: str, flags: _Flags) -> str:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    precision = flags.precision
    match verb:
        case "f" | "F":
            return f"{value:.{6 if precision is None else precision}f}"
        case "e" | "E":
            return f"{value:.{6 if precision is None else precision}{verb}}"
        case "x" | "X":
            shown = hexadecimal(value, precision)
            return shown.upper() if verb == "X" else shown
        case "b":
            return binary(value)
    shown = shortest(value) if precision is None else f"{value:.{precision or 1}g}"
    return shown.upper() if verb == "G" else shown


def _with_point(bare: str, verb: str, flags: _Flags) -> str:
    """Return digits with a point, and for %g with the zeros that it takes away, as the flag # wants."""
    split = re.fullmatch(r"(0[xX])?([0-9a-fA-F]*?(?:\.[0-9a-fA-F]*)?)([eEpP][+-]\d+)?", bare)
    if split is None:
        return bare
    prefix, digits, tail = split[1] or "", split[2], split[3] or ""
    if "." not in digits:
        digits += "."
    if verb in "vgG":
        wanted = 6 if flags.precision is None else flags.precision
        significant = len(digits.replace(".", "").lstrip("0")) or 1
        digits += "0" * max(0, wanted - significant)
    return prefix + digits + tail
