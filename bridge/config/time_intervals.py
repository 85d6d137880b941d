"""`time_intervals`: Alertmanager's named times, in its own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Annotated, Any, Self, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import tzlocal
from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema, model_validator

from bridge.domain.time_interval import Range, TimeInterval, TimePeriod
from bridge.domain.wording import kind, near
from bridge.files.validation import Section, checked, fixed
from bridge.files.yaml import Document, KeyPath

T = TypeVar("T")

_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)", re.ASCII)
_WHOLE = re.compile(r"[-+]?[0-9]{1,9}", re.ASCII)
_WEEKDAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_LOCAL = "Local"
_LONGEST_MONTH, _SHORTEST_MONTH = 31, 28


def _time(value: object) -> int:
    """Minutes since midnight."""
    if not isinstance(value, str):
        raise ValueError(f"must be a time such as '09:00', not {_given(value)}")  # noqa: TRY004 - what pydantic takes
    match = _TIME.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is not a time; write hours and minutes with two digits each, 00:00 to 24:00")
    hours, minutes = (part for part in match.groups() if part is not None)
    return int(hours) * 60 + int(minutes)


def _given(value: object) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"the number {value}" if number else kind(value)


def _range(value: object, what: str, example: str, member: Callable[[str], int]) -> Range:
    """First and last, of "first:last" or one alone; capitals do not matter."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(f"must be a {what} or a range such as {example}, not {_given(value)}")  # noqa: TRY004
    text = str(value).lower()
    parts = text.split(":")
    if len(parts) > 2:
        raise ValueError(f"{text!r} is not a range; write first and last, such as {example}")
    first, last = member(parts[0]), member(parts[-1])
    return first, last


def _ordered(range_: Range, value: object) -> Range:
    if range_[0] > range_[1]:
        raise ValueError(f"'{value}' ends before it starts; a range does not wrap around, write two")
    return range_


def _named(what: str, names: Sequence[str], first: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if text not in names:
            raise ValueError(f"there is no {what} {text!r}; {near(text, names)}")
        return names.index(text) + first

    return number


def _whole(what: str, least: int, most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if _WHOLE.fullmatch(text) is None:
            raise ValueError(f"{text!r} is not a {what}; write a number from {least} to {most}")
        if not least <= int(text) <= most or int(text) == 0:
            raise ValueError(f"there is no {what} {text}; write a number from {least} to {most}")
        return int(text)

    return number


_weekday = _named("weekday", _WEEKDAYS, 0)
_month_name, _month_number = _named("month", _MONTHS, 1), _whole("month", 1, 12)
_day, _year = _whole("day of the month", -_LONGEST_MONTH, _LONGEST_MONTH), _whole("year", 1, 9999)


def _month(text: str) -> int:
    return _month_number(text) if _WHOLE.fullmatch(text) else _month_name(text)


def _weekdays(value: object) -> Range:
    return _ordered(_range(value, "weekday", "'monday:friday'", _weekday), value)


def _months(value: object) -> Range:
    return _ordered(_range(value, "month", "'january:march'", _month), value)


def _years(value: object) -> Range:
    return _ordered(_range(value, "year", "'2026:2028'", _year), value)


def _days(value: object) -> Range:
    """Days from the month's end are judged as in Alertmanager: a range must not be empty in the shortest month."""
    first, last = _range(value, "day", "'1:5' or '-3:-1'", _day)
    if first < 0 < last:
        raise ValueError(f"'{value}' starts from the month's end, so it must end there too, for example '-3:-1'")
    if last < 0 < first and first > _SHORTEST_MONTH + last:
        latest = _SHORTEST_MONTH + last
        hint = f"; up to {last}, day {latest} is the latest start" if latest > 0 else ""
        raise ValueError(f"'{value}' may end before it starts{hint}")
    return (first, last) if last < 0 < first else _ordered((first, last), value)


def _location(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be the name of a time zone such as Europe/Berlin, not {kind(value)}")  # noqa: TRY004
    try:
        name = tzlocal.get_localzone_name() if value == _LOCAL else value or "UTC"
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        hint = near(value, available_timezones()) or "write one such as Europe/Berlin"
        raise ValueError(f"there is no time zone {value!r}; {hint}") from None
    return name


def _some(hint: str) -> AfterValidator:
    """Validator that refuses an empty list: Alertmanager accepts it, and never matches it."""

    def check(values: tuple[T, ...]) -> tuple[T, ...]:
        if not values:
            raise ValueError(f"an empty list never matches; {hint}")
        return values

    return AfterValidator(check)


_SOME = _some("to match any value, remove the key")


_TIME_SCHEMA = {"type": "string", "pattern": f"^({_TIME.pattern})$"}
_NAMED = WithJsonSchema({"type": "string"}, mode="validation")
_NUMBERED = WithJsonSchema({"type": ["string", "integer"]}, mode="validation")
_Time = Annotated[int, PlainValidator(_time), WithJsonSchema(_TIME_SCHEMA, mode="validation")]


class TimesSection(Section):
    """Element of `times`: from the start (inclusive) to the end (exclusive)."""

    start_time: _Time
    end_time: _Time

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.start_time >= self.end_time:
            raise ValueError("start_time must be before end_time; for a night write one until 24:00 and one from 00:00")
        return self


class SpanSection(Section):
    """One element of `time_intervals`: the times that match all of its keys."""

    elsewhere = fixed(time_zone="write location", timezone="write location")
    times: Annotated[tuple[TimesSection, ...], _SOME] | None = None
    weekdays: Annotated[tuple[Annotated[Range, PlainValidator(_weekdays), _NAMED], ...], _SOME] | None = None
    days_of_month: Annotated[tuple[Annotated[Range, PlainValidator(_days), _NUMBERED], ...], _SOME] | None = None
    months: Annotated[tuple[Annotated[Range, PlainValidator(_months), _NUMBERED], ...], _SOME] | None = None
    years: Annotated[tuple[Annotated[Range, PlainValidator(_years), _NUMBERED], ...], _SOME] | None = None
    location: Annotated[str, BeforeValidator(_location)] = "UTC"

    def span(self) -> TimePeriod:
        """Return the value of this part of an interval."""
        times = tuple((part.start_time, part.end_time) for part in self.times or ())
        days = (self.weekdays or (), self.days_of_month or (), self.months or (), self.years or ())
        return TimePeriod(times, *days, location=self.location)


class IntervalSection(Section):
    """Named time interval, which routes refer to."""

    name: str
    time_intervals: Annotated[tuple[SpanSection, ...], _some("write [{}] for always")]


def read_time_intervals(values: Iterable[Any], document: Document, path: KeyPath) -> dict[str, TimeInterval]:
    """Return the named intervals of a list; every problem is noted in `document`.

    A name whose interval is wrong is there too, so that what refers to it need not be a second problem.
    """
    found: dict[str, TimeInterval] = {}
    for number, value in enumerate(values):
        where = (*path, number)
        section = checked(IntervalSection, value, document, where)
        name = value.get("name") if isinstance(value, dict) else None
        if isinstance(name, str):
            _check_name(name, found, document, (*where, "name"))
            spans = tuple(part.span() for part in section.time_intervals) if section is not None else ()
            found.setdefault(name, TimeInterval(name, spans))
    return found


def _check_name(name: str, known: dict[str, TimeInterval], document: Document, path: KeyPath) -> None:
    if not name.strip():
        document.add(path, "a time interval needs a name")
    elif name in known:
        document.add(path, f"time interval {name!r} is defined twice", "write its elements into one")
