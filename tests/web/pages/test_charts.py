"""Charts of signals."""

from __future__ import annotations

import json
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace

from bridge.engine.api.views import TrailView
from bridge.web.pages.charts import apart, data, extent, first_slot_with_value, own_scale, picture, spark, trail_from
from tests.support.fake_views import AT, MODEL, TRAIL, signal
from tests.support.web_app import Site

MODEL_PAGE = "/model?project=shop&pipeline=ranking&version=7"


def numbers(path: str) -> list[tuple[int, int]]:
    return [(int(x), int(y)) for x, y in re.findall(r"[ML](\d+) (\d+)", path)]


def paths(svg: str) -> dict[str, str]:
    return {item.get("class", ""): item.get("d", "") for item in ET.fromstring(svg).iter("path")}


def test_a_spark_goes_up_where_the_value_does() -> None:
    """It has a gap for missing numbers, the limit as a line, and the last value as a dot."""
    svg = str(spark(TRAIL))
    line = paths(svg)[""]
    assert line.count("M") == 2
    places = numbers(line)
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    assert [y for _, y in places] == sorted((y for _, y in places), reverse=True)
    assert "limit" in paths(svg)
    assert 'cy="2"' in svg
    assert len(svg) < 350


def test_nothing_to_show_is_no_picture() -> None:
    """No trail, no numbers, or only an infinite one."""
    nothing = replace(TRAIL, value=[math.nan] * 5, threshold=[math.inf] * 5)
    assert [
        str(spark(None)),
        str(spark(nothing)),
        str(picture(replace(nothing, lower=[math.nan] * 5, upper=[math.nan] * 5))),
    ] == [""] * 3
    assert extent([math.inf, math.nan]) is None


def test_a_spark_of_a_model_that_is_silent_keeps_its_last_point_and_limit() -> None:
    """The last value is shown against its limit, with nothing to the right."""
    silent = replace(TRAIL, value=[0.1, 0.2, 0.3, math.nan, math.nan], threshold=[0.6, 0.6, 0.6, math.nan, math.nan])
    silent = replace(silent, statistic=silent.value)
    svg = str(spark(silent))
    assert paths(svg)["limit"] == "M0 2H90"
    (dot,) = ET.fromstring(svg).iter("circle")
    assert numbers(paths(svg)[""])[-1] == (int(dot.get("cx", "")), int(dot.get("cy", ""))) == (44, 12)


def test_pictures_of_a_model_begin_where_it_did() -> None:
    """All charts start at the first value of any rule."""
    late = replace(TRAIL, value=[math.nan, math.nan, 0.3, 0.4, 0.5])
    assert [
        first_slot_with_value(TRAIL),
        first_slot_with_value(late),
        first_slot_with_value(replace(late, value=[math.nan] * 5)),
    ] == [AT - 40_000, AT - 20_000, 0]
    assert trail_from(late, first_slot_with_value(late)).value == [0.3, 0.4, 0.5]
    assert trail_from(late, first_slot_with_value(late)).state == [0, 1, 2]
    site = Site()
    site.queries.seen = {MODEL: {"Drifted": late}}
    assert (
        '0.3 to 0.5 in 3 slots since <time datetime="2023-11-14T22:13:00Z">2023-11-14 22:13:00 UTC</time>'
        in site.http.get(MODEL_PAGE).text
    )
    site.queries.seen = {MODEL: {"Drifted": replace(late, value=[math.nan] * 4 + [0.5])}}
    assert "0.5 to 0.5 in 1 slot since" in site.http.get(MODEL_PAGE).text


def test_a_signal_that_stays_the_same_is_a_line_in_the_middle() -> None:
    """A constant must not divide by zero."""
    flat = TrailView([AT, AT + 1], [0.5, 0.5], [0.5, 0.5], [math.nan] * 2, [math.nan] * 2, [math.nan] * 2, [0, 0])
    assert {y for _, y in numbers(paths(str(spark(flat)))[""])} == {10}


def test_the_picture_shows_band_limit_value_and_when_it_fired() -> None:
    """Each is a shape with its own class; the limit of a separate statistic is not drawn."""
    svg = str(picture(TRAIL))
    assert {"band", "limit", "value"} <= set(paths(svg))
    assert [item.get("class") for item in ET.fromstring(svg).iter("rect")] == ["pending", "firing"]
    assert paths(svg)["band"].endswith("Z")
    other = replace(TRAIL, statistic=[5.0] * 5, threshold=[30.0] * 5)
    assert own_scale(other)
    assert not own_scale(TRAIL)
    assert "limit" not in paths(str(picture(other)))


def test_a_limit_of_a_statistic_is_known_without_a_trail() -> None:
    """The signal has the last statistic; the trail has the earlier ones."""
    assert not apart(signal(), None)
    assert not apart(signal(), TRAIL)
    assert apart(signal(), replace(TRAIL, statistic=[5.0] * 5))
    assert apart(signal(statistic=5.0), None)


def test_what_the_script_draws_is_json_with_nulls() -> None:
    """Times are in seconds; events are marks."""
    found = json.loads(data(TRAIL, [(AT, "sent")]))
    assert found["value"] == [0.1, 0.2, None, 0.65, 0.702]
    assert found["slots"][-1] == AT / 1000
    assert found["marks"] == [[AT / 1000, "sent"]]
    assert found["own"] is False


def test_the_model_page_draws_what_its_rules_saw() -> None:
    """As text, as a table and as SVG without scripts, with events marked."""
    site = Site()
    page = site.http.get(MODEL_PAGE).text
    assert "22:12:40 UTC</time>; expected now: 0.05 to 0.25." in page
    assert '<svg class="chart"' in page
    assert "&#34;triggered&#34;" in page
    assert page.index('<td data-name="State">firing') < page.index('<td data-name="State">pending')
    site.queries.seen = {}
    assert "Charts appear after the next evaluation" in site.http.get(MODEL_PAGE).text


def test_the_models_page_requests_the_trails_of_its_models_at_once() -> None:
    """One call, not one per model."""
    site = Site()
    page = site.http.get("/").text
    assert page.count('<svg class="spark"') == 1
    assert len([item for item in site.queries.asked if isinstance(item, tuple) and item[0] == "trails"]) == 1


def test_a_limit_of_the_statistic_is_called_so() -> None:
    """Next to a value in another unit it would be misleading."""
    site = Site()
    site.queries.seen = {MODEL: {"Drifted": replace(TRAIL, statistic=[5.0] * 5, threshold=[30.0] * 5)}}
    for path in ("/", MODEL_PAGE):
        assert "of the statistic" in site.http.get(path).text
    site.queries.seen = {MODEL: {"Drifted": TRAIL}}
    for path in ("/", MODEL_PAGE):
        assert "of the statistic" not in site.http.get(path).text
