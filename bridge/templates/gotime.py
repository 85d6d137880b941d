"""Go's time.Time and time.Duration, as far as templates reach them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from bridge.templates.errors import CallError
from bridge.templates.values import STRING, Function

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LAYOUT = re.compile(
    r"January|Jan|Monday|Mon|MST|2006|_2006|__2|002|01|02|03|04|05|06|15|Z070000|Z07:00:00|Z0700|Z07:00|Z07"
    r"|-070000|-07:00:00|-0700|-07:00|-07|[.,]0+(?!\d)|[.,]9+(?!\d)|PM|pm|_2|1|2|3|4|5"
)


@dataclass(frozen=True, slots=True)
class GoTime:
    """An instant in UTC. millis: milliseconds since the epoch."""

    millis: int
    go_type: ClassVar[str] = "*time.Time"
    go_methods: ClassVar[Mapping[str, Function]]

    def moment(self) -> datetime:
        """Return the instant. Raises CallError outside the years 1 to 9999."""
        try:
            return _EPOCH + timedelta(milliseconds=self.millis)
        except OverflowError:
            raise CallError("year outside of range [1,9999]") from None

    def go_string(self) -> str:
        """Return the instant as Go's String does."""
        return self.layout("2006-01-02 15:04:05.999999999 -0700 MST")

    def layout(self, form: str) -> str:
        """Return the instant in the form of a Go layout."""
        moment = self.moment()
        return _LAYOUT.sub(lambda found: self._part(moment, found[0]), form)

    def _part(self, moment: datetime, word: str) -> str:
        hour = moment.hour % 12 or 12
        fixed = {
            "January": f"{moment:%B}", "Jan": f"{moment:%b}", "Monday": f"{moment:%A}", "Mon": f"{moment:%a}",
            "MST": "UTC",
            "2006": f"{moment.year:04d}", "_2006": f"_{moment.year:04d}", "06": f"{moment.year % 100:02d}",
            "01": f"{moment.month:02d}", "1": str(moment.month), "02": f"{moment.day:02d}", "_2": f"{moment.day:2d}",
            "2": str(moment.day), "002": f"{moment:%j}", "__2": f"{int(f'{moment:%j}'):3d}", "15": f"{moment.hour:02d}",
            "03": f"{hour:02d}", "3": str(hour), "04": f"{moment.minute:02d}", "4": str(moment.minute),
            "05": f"{moment.second:02d}", "5": str(moment.second), "PM": "AM" if moment.hour < 12 else "PM",
            "pm": "am" if moment.hour < 12 else "pm",
        }  # fmt: skip
        if word in fixed:
            return fixed[word]
        if word[0] in ".,":
            digits = f"{moment.microsecond:06d}000"[: len(word) - 1]
            digits = digits.rstrip("0") if word[1] == "9" else digits
            return f"{word[0]}{digits}" if digits else ""
        if word[0] == "Z":
            return "Z"
        return "+" + re.sub(r"\d", "0", word[1:])


GoTime.go_methods = {
    "Format": Function(GoTime.layout, (STRING,)),
    "String": Function(GoTime.go_string),
    "UTC": Function(lambda time: time),
    "Unix": Function(lambda time: time.millis // 1000),
    "UnixMilli": Function(lambda time: time.millis),
    "UnixNano": Function(lambda time: time.millis * 1_000_000),
    "Year": Function(lambda time: time.moment().year),
    "Month": Function(lambda time: f"{time.moment():%B}"),
    "Day": Function(lambda time: time.moment().day),
    "YearDay": Function(lambda time: int(f"{time.moment():%j}")),
    "Weekday": Function(lambda time: f"{time.moment():%A}"),
    "Hour": Function(lambda time: time.moment().hour),
    "Minute": Function(lambda time: time.moment().minute),
    "Second": Function(lambda time: time.moment().second),
}


@dataclass(frozen=True, slots=True)
class GoDuration:
    """A duration. nanos: nanoseconds."""

    nanos: int
    go_type: ClassVar[str] = "*time.Duration"
    go_methods: ClassVar[Mapping[str, Function]]

    def go_string(self) -> str:
        """Return the duration as Go's String does: 1h2m3.5s."""
        left = abs(self.nanos)
        sign = "-" if self.nanos < 0 else ""
        if not left:
            return "0s"
        if left < 1_000_000_000:
            for size, unit in ((1_000_000, "ms"), (1000, "\u00b5s"), (1, "ns")):
                if left >= size:
                    return f"{sign}{_decimal(left, size)}{unit}"
        hours, rest = divmod(left, 3_600_000_000_000)
        minutes, rest = divmod(rest, 60_000_000_000)
        front = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return f"{sign}{front}{_decimal(rest, 1_000_000_000)}s"


def _decimal(value: int, size: int) -> str:
    whole, rest = divmod(value, size)
    digits = f"{rest:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)


GoDuration.go_methods = {
    "String": Function(GoDuration.go_string),
    "Seconds": Function(lambda duration: duration.nanos / 1e9),
    "Minutes": Function(lambda duration: duration.nanos / 6e10),
    "Hours": Function(lambda duration: duration.nanos / 3.6e12),
    "Milliseconds": Function(lambda duration: duration.nanos // 1_000_000),
}
