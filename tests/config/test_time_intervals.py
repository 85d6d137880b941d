"""`time_intervals` of bridge.yml: read as Alertmanager reads them, every mistake at its place."""

from __future__ import annotations

import re

import pytest
import tzlocal

from bridge.config.time_intervals import read_time_intervals
from bridge.domain.time_interval import TimeInterval, TimePeriod
from bridge.files.yaml import Document, parse
from tests.support.interval_files import BAD, GOOD, NEVER, named

PLACE = "time_intervals[0].time_intervals[0]"


def read(text: str) -> tuple[dict[str, TimeInterval], list[str]]:
    """The intervals of a list, and the problems."""
    document = parse(f"time_intervals: {text}\n", Document("bridge.yml"))
    found = read_time_intervals(document.value.get("time_intervals", []), document, ("time_intervals",))
    return found, [re.sub(r"^bridge\.yml:([0-9]+):[0-9]+: ", r"\1: ", str(item)) for item in document.problems]


@pytest.mark.parametrize("text", GOOD)
def test_an_interval_is_read_as_alertmanager_reads_it(text: str) -> None:
    """Quoted or not, by name or number, with capitals or without."""
    assert read(named(text)) == ({"n": TimeInterval("n", (GOOD[text],))}, [])


@pytest.mark.parametrize("text", [*BAD, *NEVER])
def test_an_error_has_its_position_and_a_hint(text: str) -> None:
    """All mistakes of an element at once."""
    _, problems = read(named(text))
    assert problems == [f"1: {PLACE}{problem}" for problem in (BAD | NEVER)[text]]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("[work]", ["1: time_intervals[0]: must be a mapping, not text"]),
        ("[{time_intervals: [{}]}]", ["1: time_intervals[0]: key 'name' is missing"]),
        ("[{name: 5, time_intervals: [{}]}]", ["1: time_intervals[0].name: must be text, not the number 5 (quote it)"]),
        ("[{name: ' ', time_intervals: [{}]}]", ["1: time_intervals[0].name: a time interval needs a name"]),
        ("[{name: n}]", ["1: time_intervals[0]: key 'time_intervals' is missing"]),
        (
            "[{name: n, time_intervals: []}]",
            ["1: time_intervals[0].time_intervals: an empty list never matches; write [{}] for always"],
        ),
        (
            "[{name: n, time_intervals: {}}]",
            ["1: time_intervals[0].time_intervals: must be a list, not a mapping"],
        ),
        ("[{name: n, time_intervals: [x]}]", [f"1: {PLACE}: must be a mapping, not text"]),
        (
            "[{name: n, intervals: [{}], time_intervals: [{}]}]",
            ["1: time_intervals[0].intervals: unknown key 'intervals' (did you mean 'time_intervals'?)"],
        ),
        (
            "\n- {name: n, time_intervals: [{}]}\n- {name: n, time_intervals: [{months: [5]}]}",
            ["3: time_intervals[1].name: time interval 'n' is defined twice (write its elements into one)"],
        ),
    ],
)
def test_an_interval_has_a_name_of_its_own_and_elements(text: str, problems: list[str]) -> None:
    """Nothing is guessed."""
    assert read(text)[1] == problems


def test_the_errors_of_all_intervals_are_reported_at_once() -> None:
    """Each on its own line; a wrong one keeps its name, so that a route that names it is not wrong too."""
    found, problems = read(
        "\n- name: night\n  time_intervals:\n  - weekdays: [mon]\n    location: X\n  - years: [x]\n"
        "- name: good\n  time_intervals: [{months: [5]}, {}]\n- name: empty\n"
    )
    assert problems == [
        "4: time_intervals[0].time_intervals[0].weekdays[0]: there is no weekday 'mon'; did you mean 'monday'?",
        "5: time_intervals[0].time_intervals[0].location: there is no time zone 'X'; write one such as Europe/Berlin",
        "6: time_intervals[0].time_intervals[1].years[0]: 'x' is not a year; write a number from 1 to 9999",
        "9: time_intervals[2]: key 'time_intervals' is missing",
    ]
    assert found == {
        "night": TimeInterval("night", ()),
        "good": TimeInterval("good", (TimePeriod(months=((5, 5),)), TimePeriod())),
        "empty": TimeInterval("empty", ()),
    }


def test_of_two_intervals_of_a_name_the_first_stays() -> None:
    """The file is wrong either way."""
    found, _ = read("[{name: n, time_intervals: [{}]}, {name: n, time_intervals: [{months: [5]}]}]")
    assert found == {"n": TimeInterval("n", (TimePeriod(),))}


def test_local_is_the_zone_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """By its name, as Alertmanager's `Local` is the zone of the machine it runs on."""
    monkeypatch.setattr(tzlocal, "get_localzone_name", lambda: "Asia/Tokyo")
    assert read(named("location: Local")) == ({"n": TimeInterval("n", (TimePeriod(location="Asia/Tokyo"),))}, [])


def test_a_machine_without_a_usable_zone_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """TZ may name a zone that is not there."""
    monkeypatch.setattr(tzlocal, "get_localzone_name", lambda: "Mars/Base")
    assert read(named("location: Local"))[1] == [
        f"1: {PLACE}.location: there is no time zone 'Local'; write one such as Europe/Berlin"
    ]
