"""Lists of `time_intervals` in YAML, right and wrong, for the reader and for Alertmanager itself."""

from __future__ import annotations

from bridge.domain.time_interval import TimePeriod


def named(span: str) -> str:
    """A list of one interval with one element."""
    return f"[{{name: n, time_intervals: [{{{span}}}]}}]"


# Text of one element -> what it means; Alertmanager takes all of them.
GOOD: dict[str, TimePeriod] = {
    "": TimePeriod(),
    "times: [{start_time: '09:00', end_time: '17:00'}]": TimePeriod(times=((540, 1020),)),
    "times: [{start_time: 09:00, end_time: 17:30}]": TimePeriod(times=((540, 1050),)),
    "times: [{start_time: '00:00', end_time: '24:00'}]": TimePeriod(times=((0, 1440),)),
    "times: [{start_time: '00:00', end_time: '01:00'}, {start_time: '23:59', end_time: '24:00'}]": TimePeriod(
        times=((0, 60), (1439, 1440))
    ),
    "weekdays: [monday]": TimePeriod(weekdays=((1, 1),)),
    "weekdays: ['monday:friday', 'sunday']": TimePeriod(weekdays=((1, 5), (0, 0))),
    "weekdays: [Sunday:SATURDAY]": TimePeriod(weekdays=((0, 6),)),
    "days_of_month: ['1:5', '-3:-1']": TimePeriod(days_of_month=((1, 5), (-3, -1))),
    "days_of_month: [5, -1, 1:3, '+7']": TimePeriod(days_of_month=((5, 5), (-1, -1), (1, 3), (7, 7))),
    "days_of_month: ['27:-1', '31', '-31:-1']": TimePeriod(days_of_month=((27, -1), (31, 31), (-31, -1))),
    "months: ['january:march', '5', 12]": TimePeriod(months=((1, 3), (5, 5), (12, 12))),
    "months: ['1:March', may]": TimePeriod(months=((1, 3), (5, 5))),
    "years: ['2024:2026', 2030]": TimePeriod(years=((2024, 2026), (2030, 2030))),
    "location: Europe/Berlin": TimePeriod(location="Europe/Berlin"),
    "location: UTC": TimePeriod(),
    "location: ''": TimePeriod(),
    "times: [{start_time: '09:00', end_time: '17:00'}], weekdays: ['monday:friday'], months: [3], years: [2026], "
    "days_of_month: [1], location: America/New_York": TimePeriod(
        ((540, 1020),), ((1, 5),), ((1, 1),), ((3, 3),), ((2026, 2026),), "America/New_York"
    ),
}

_NOT_A_TIME = "is not a time; write hours and minutes with two digits each, 00:00 to 24:00"
_WEEKDAYS = "known are: friday, monday, saturday, sunday, thursday, tuesday, wednesday"
_BACKWARDS = "ends before it starts; a range does not wrap around, write two"
_FORWARD = "start_time must be before end_time; for a night write one until 24:00 and one from 00:00"
_DAY_RANGE = "must be a day or a range such as '1:5' or '-3:-1'"

# Text of one element -> where in it, and what is wrong; Alertmanager refuses all of them.
BAD: dict[str, tuple[str, ...]] = {
    "times: [{start_time: '9:00', end_time: '17:00'}]": (f".times[0].start_time: '9:00' {_NOT_A_TIME}",),
    "times: [{start_time: '09:00', end_time: '24:01'}]": (f".times[0].end_time: '24:01' {_NOT_A_TIME}",),
    "times: [{start_time: '09:60', end_time: '25:00'}]": (
        f".times[0].start_time: '09:60' {_NOT_A_TIME}",
        f".times[0].end_time: '25:00' {_NOT_A_TIME}",
    ),
    "times: [{start_time: 9, end_time: 17.5}]": (
        ".times[0].start_time: must be a time such as '09:00', not the number 9",
        ".times[0].end_time: must be a time such as '09:00', not the number 17.5",
    ),
    "times: [{start_time: 9am, end_time: true}]": (
        f".times[0].start_time: '9am' {_NOT_A_TIME}",
        ".times[0].end_time: must be a time such as '09:00', not a boolean",
    ),
    "times: [{start_time: '22:00', end_time: '06:00'}]": (f".times[0]: {_FORWARD}",),
    "times: [{start_time: '09:00', end_time: '09:00'}]": (f".times[0]: {_FORWARD}",),
    "times: [{start_time: '09:00'}]": (".times[0]: key 'end_time' is missing",),
    "times: [{start: '09:00', end_time: '17:00'}]": (
        ".times[0]: key 'start_time' is missing",
        ".times[0].start: unknown key 'start' (did you mean 'start_time'?)",
    ),
    "times: {start_time: '09:00', end_time: '17:00'}": (".times: must be a list, not a mapping",),
    "times: ['09:00-17:00']": (".times[0]: must be a mapping, not text",),
    "weekdays: monday": (".weekdays: must be a list, not text",),
    "weekdays: [mondy]": (".weekdays[0]: there is no weekday 'mondy'; did you mean 'monday'?",),
    "weekdays: [5]": (f".weekdays[0]: there is no weekday '5'; {_WEEKDAYS}",),
    "weekdays: ['friday:monday']": (f".weekdays[0]: 'friday:monday' {_BACKWARDS}",),
    "weekdays: ['monday:wednesday:friday']": (
        ".weekdays[0]: 'monday:wednesday:friday' is not a range; write first and last, such as 'monday:friday'",
    ),
    "weekdays: ['monday-friday']": (".weekdays[0]: there is no weekday 'monday-friday'; did you mean 'monday'?",),
    "weekdays: [[monday]]": (".weekdays[0]: must be a weekday or a range such as 'monday:friday', not a list",),
    "days_of_month: [0]": (".days_of_month[0]: there is no day of the month 0; write a number from -31 to 31",),
    "days_of_month: ['1:32']": (".days_of_month[0]: there is no day of the month 32; write a number from -31 to 31",),
    "days_of_month: ['-32']": (".days_of_month[0]: there is no day of the month -32; write a number from -31 to 31",),
    "days_of_month: ['1:']": (".days_of_month[0]: '' is not a day of the month; write a number from -31 to 31",),
    "days_of_month: ['1 : 3']": (".days_of_month[0]: '1 ' is not a day of the month; write a number from -31 to 31",),
    "days_of_month: ['5:1']": (f".days_of_month[0]: '5:1' {_BACKWARDS}",),
    "days_of_month: ['-1:-3']": (f".days_of_month[0]: '-1:-3' {_BACKWARDS}",),
    "days_of_month: ['-3:5']": (
        ".days_of_month[0]: '-3:5' starts from the month's end, so it must end there too, for example '-3:-1'",
    ),
    "days_of_month: ['28:-1']": (
        ".days_of_month[0]: '28:-1' may end before it starts; up to -1, day 27 is the latest start",
    ),
    "days_of_month: ['1:-28']": (".days_of_month[0]: '1:-28' may end before it starts",),
    "days_of_month: [1.5, true]": (
        f".days_of_month[0]: {_DAY_RANGE}, not the number 1.5",
        f".days_of_month[1]: {_DAY_RANGE}, not a boolean",
    ),
    "months: [jan]": (".months[0]: there is no month 'jan'; did you mean 'january'?",),
    "months: ['november:january']": (f".months[0]: 'november:january' {_BACKWARDS}",),
    "years: ['2026:2024']": (f".years[0]: '2026:2024' {_BACKWARDS}",),
    "years: [next]": (".years[0]: 'next' is not a year; write a number from 1 to 9999",),
    "location: Europe/Berln": (".location: there is no time zone 'Europe/Berln'; did you mean 'Europe/Berlin'?",),
    "location: europe/berlin": (".location: there is no time zone 'europe/berlin'; did you mean 'Europe/Berlin'?",),
    "location: '+02:00'": (".location: there is no time zone '+02:00'; write one such as Europe/Berlin",),
    "location: ../Berlin": (".location: there is no time zone '../Berlin'; did you mean 'Europe/Berlin'?",),
    "location: [UTC]": (".location: must be the name of a time zone such as Europe/Berlin, not a list",),
    "time_zone: UTC": (".time_zone: unknown key 'time_zone' (write location)",),
    "weekday: [monday]": (".weekday: unknown key 'weekday' (did you mean 'weekdays'?)",),
}

# What Alertmanager takes, and never matches; here it is a mistake.
NEVER: dict[str, tuple[str, ...]] = {
    "times: []": (".times: an empty list never matches; to match any value, remove the key",),
    "weekdays: []": (".weekdays: an empty list never matches; to match any value, remove the key",),
    "months: [0, 13]": (
        ".months[0]: there is no month 0; write a number from 1 to 12",
        ".months[1]: there is no month 13; write a number from 1 to 12",
    ),
    "years: [-5, 99999]": (
        ".years[0]: there is no year -5; write a number from 1 to 9999",
        ".years[1]: there is no year 99999; write a number from 1 to 9999",
    ),
}
