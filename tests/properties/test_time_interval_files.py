"""Whatever stands under `time_intervals`: intervals that can be used, or problems; never a crash."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config.time_intervals import read_time_intervals
from bridge.domain.times import DAY
from bridge.files.yaml import Document, parse

AT = 1_794_182_400_000
WORDS = st.sampled_from(
    ["monday", "Friday:sunday", "1:5", "-3:-1", "09:00", "24:00", "march", "2026", "UTC", "Europe", "Europe/Berlin",
     "..", "/", "tzdata.zi", "zone.tab", "", ":", "٣", "9" * 30, "Europe/" + "x" * 300]
)  # fmt: skip
LEAF = st.one_of(
    WORDS, st.text(max_size=6), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans()
)
TIMES = st.dictionaries(st.sampled_from(["start_time", "end_time", "x"]), LEAF, max_size=3)
FIELD = st.one_of(LEAF, TIMES, st.lists(st.one_of(WORDS, LEAF, TIMES), max_size=2))
KEYS = st.sampled_from(["times", "weekdays", "days_of_month", "months", "years", "location", "x"])
SPAN = st.one_of(LEAF, st.dictionaries(KEYS, FIELD, max_size=3))
ENTRY = st.fixed_dictionaries(
    {}, optional={"name": LEAF, "time_intervals": st.one_of(LEAF, st.lists(SPAN, max_size=2))}
)


@settings(max_examples=200, deadline=None)
@given(values=st.lists(st.one_of(LEAF, ENTRY), max_size=2))
def test_any_list_is_read_or_refused(values: list[Any]) -> None:
    """What has no problem can be asked of any instant."""
    document = parse(json.dumps({"time_intervals": values}), Document("bridge.yml"))
    found = read_time_intervals((document.value or {}).get("time_intervals", []), document, ("time_intervals",))
    assert all(problem.message and problem.path.startswith("time_intervals") for problem in document.problems)
    if not document.problems:
        assert len(found) == len(values)
        for interval in found.values():
            inside = interval.contains(AT)
            assert (interval.until(AT, 3 * DAY) or AT) >= AT
            assert interval.contains(AT) is inside
