"""Labels for tuning: CSV, annotations, feedback."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bridge.authoring.tune.grid import TuneError
from bridge.authoring.tune.incidents import of_feedback, read_annotations, read_csv
from bridge.domain.times import DAY, HOUR, Timestamp, rfc3339
from tests.authoring.tune.test_compare import FIRST
from tests.support.world import A, B


def at(day: int, hour: int = 0) -> Timestamp:
    return FIRST + day * DAY + hour * HOUR


def test_incidents_are_read_from_csv(tmp_path: Path) -> None:
    """Model columns may be missing or empty: any model then."""
    file = tmp_path / "incidents.csv"
    file.write_text(
        "\ufeffproject,pipeline,start,end\r\nshop,ranking,2023-11-14T00:00:00Z,2023-11-15T00:00:00Z\n,,10,20\n"
    )
    one, other = read_csv(file, 0)
    assert one.about(A)
    assert not one.about(B)
    assert other.covers(B, 15_000)
    assert not other.covers(B, 21_000)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("begin,end\n1,2\n", ":1: the header needs start and end"),
        ("start,end\n1,soon\n", ":2: 'soon' is not a time"),
        ("start,end\n1,\n", ":2: '' is not a time"),
        ("start,end\n1,2\n30,20\n", ":3: the end is before the start"),
        ("start,end,x\n1,2,a\n1,2," + "a" * 200_000, ":3: field larger than field limit"),
    ],
)
def test_an_invalid_line_is_reported_with_its_number(tmp_path: Path, text: str, problem: str) -> None:
    """With its number."""
    file = tmp_path / "incidents.csv"
    file.write_text(text)
    with pytest.raises(TuneError, match=problem):
        read_csv(file, 0)
    with pytest.raises(TuneError, match="cannot read"):
        read_csv(tmp_path / "none.csv", 0)


def test_annotations_of_grafana_name_the_model_in_tags(tmp_path: Path) -> None:
    """`key=value` and `key:value`; other tags say nothing. A point in time has no length."""
    file = tmp_path / "annotations.json"
    file.write_text(json.dumps([
        {"time": 10, "timeEnd": 20, "tags": ["pipeline=ranking", "project:shop", "outage"], "text": "x"},
        {"time": 30, "timeEnd": 0},
    ]))  # fmt: skip
    one, other = read_annotations(file)
    assert (one.project, one.pipeline, one.start, one.end) == ("shop", "ranking", 10, 20)
    assert (other.about(B), other.start, other.end) == (True, 30, 30)
    for wrong in ("{}x", "[" * 100_000, '[{"time": 1e999}]', "[3]", '{"a": 1}', '[{"tags": []}]'):
        file.write_text(wrong)
        with pytest.raises(TuneError, match="does not hold annotations"):
            read_annotations(file)


def test_feedback_is_a_label() -> None:
    """Useful, late and false requests of the rule; others do not count."""

    def request(opinion: str | None, name: str = "Drifted") -> dict[str, object]:
        return {
            **A.labels(), "rule": name, "feedback": opinion, "episode_start": rfc3339(at(3)),
            "triggered_at": rfc3339(at(3, 1)), "ended_at": rfc3339(at(3, 5)),
        }  # fmt: skip

    useful, late, false = of_feedback(
        [request("useful"), request(None), request("late"), request("false", "Other"), request("false")], "Drifted"
    )
    hour = HOUR
    assert (useful.start, useful.end, useful.needed) == (at(3) - hour, at(3, 5), True)
    assert (late.start, late.end, late.needed) == (at(3) - hour, at(3), True)
    assert (false.start, false.end, false.needed) == (at(3) - hour, at(3, 1), False)
