"""Summary of a model in words."""

from __future__ import annotations

import math
from dataclasses import replace

from msgspec import structs

from bridge.domain.model import ModelKey
from bridge.domain.request import Episode, HoldReason, RecoveryVerdict, RequestState
from bridge.engine.api.views import ModelState
from bridge.web.pages.summary import history, sentence
from tests.support.fake_views import AT, EPISODE, ID, MODEL, REQUEST, TRAIL, model_view, signal
from tests.support.web_app import Site

MODEL_PAGE = "/model?project=shop&pipeline=ranking&version=7"
ACTIVE = signal(since=AT)


def told(*signals: object, **more: object) -> str:
    view = replace(model_view(), signals=list(signals), **more)  # type: ignore[arg-type]
    return sentence(view, [], {"Drifted": TRAIL}).striptags()


def test_the_sentence_has_the_start_and_the_side_of_the_limit() -> None:
    """With the unit; without a limit none is named."""
    since = "Drifted is firing since 2023-11-14 22:13:20 UTC: drift is"
    assert told(ACTIVE) == f"{since} 0.702, above 0.6."
    assert told(structs.replace(ACTIVE, value=0.5, statistic=0.5, unit="ms")) == f"{since} 500 µs, below 600 µs."
    assert told(structs.replace(ACTIVE, value=0.6, statistic=0.6)) == f"{since} 0.6, at 0.6."
    assert told(structs.replace(ACTIVE, threshold=math.nan)) == f"{since} 0.702."


def test_a_limit_on_a_statistic_is_not_held_against_the_value() -> None:
    """Both are named, with the last known statistic."""
    apart = {"Drifted": replace(TRAIL, statistic=[1.0, 2.0, 3.0, 31.5, math.nan])}
    view = replace(model_view(), signals=[structs.replace(ACTIVE, threshold=30.0)])
    assert sentence(view, [], apart).striptags().endswith("drift is 0.702, its statistic 0.702 (limit 30).")
    unknown = replace(view, signals=[structs.replace(ACTIVE, statistic=math.nan, threshold=30.0)])
    assert sentence(unknown, [], apart).striptags().endswith("drift is 0.702, its statistic 31.5 (limit 30).")
    now = replace(view, signals=[structs.replace(ACTIVE, statistic=42.0, threshold=30.0)])
    assert sentence(now, [], {}).striptags().endswith("drift is 0.702, its statistic 42 (limit 30).")


def test_what_was_seen_last_is_not_reported_as_the_present() -> None:
    """The model has stopped reporting."""
    silent = structs.replace(ACTIVE, verdict="inconclusive", cause="no_data")
    assert told(silent).endswith("drift was last 0.702, above 0.6, and is now inconclusive (no data).")


def test_an_expression_without_a_result_is_not_described_by_its_last_value() -> None:
    """It still fires because of `keep_firing_for`."""
    kept = structs.replace(ACTIVE, value=math.nan, verdict="ok", empty=True)
    assert told(kept) == (
        "Drifted is firing since 2023-11-14 22:13:20 UTC, though its expression returns nothing now: "
        "`keep_firing_for` has not elapsed."
    )


def test_a_model_at_rest_and_one_that_cannot_be_evaluated() -> None:
    """No active rule is good news only if there is data; at most three rules are named."""
    assert told(signal()) == "No rule is pending or firing."
    assert told(signal(), state=ModelState.NO_DATA) == "No rule has data for this model."
    assert told(*[ACTIVE] * 5).endswith("2 more rules are pending or firing.")


def test_the_sentence_ends_with_the_request() -> None:
    """The present state and its gate, or how the latest request ended, and its recovery verdict."""
    view = replace(model_view(), signals=[signal()])
    held = structs.replace(REQUEST, state=RequestState.HELD, hold=HoldReason.COOLDOWN)
    done = structs.replace(REQUEST, state=RequestState.SUCCEEDED, ended_at=AT)
    helped = structs.replace(done, new_version="8", verdict=RecoveryVerdict.RECOVERED)
    at = "2023-11-14 22:13:20 UTC"
    for record, wanted in (
        (REQUEST, f"Latest request: requested since {at}."),
        (held, f"Latest request: held by cooldown since {at}."),
        (done, f"Latest request: succeeded at {at}."),
        (helped, f"Latest request: succeeded at {at}, new version 8; recovery verdict: recovered."),
    ):
        assert sentence(view, [record], {}).striptags() == f"No rule is pending or firing. {wanted}"


def test_episodes_are_reported_with_their_requests_newest_first() -> None:
    """Including an episode without a request, and a request created by hand."""
    first, second = (Episode(MODEL, AT - back, "Drifted", ("Drifted",), 1, AT - back + 5) for back in (900, 500))
    by_hand = structs.replace(
        REQUEST, request=structs.replace(REQUEST.request, episode_start=AT - 700, triggered_at=AT - 700)
    )
    again = structs.replace(REQUEST, request=structs.replace(REQUEST.request, attempt=2, triggered_at=AT + 10))
    found = [(item.episode, item.record) for item in history([EPISODE, second, first], [again, REQUEST, by_hand])]
    assert found == [(EPISODE, again), (EPISODE, REQUEST), (second, None), (None, by_hand), (first, None)]


def test_the_page_lists_episodes_with_their_ends() -> None:
    """Including an episode without a request."""
    site = Site()
    ended = Episode(MODEL, AT - 60_000, "Drifted", ("Drifted", "Slow"), 0, AT - 30_000, "resolved")
    site.queries.lived = [EPISODE, ended]
    page = site.http.get(MODEL_PAGE).text
    assert '22:13:20 UTC</time> <span class="state firing">ongoing</span>' in page
    assert 'to <time datetime="2023-11-14T22:12:50Z">2023-11-14 22:12:50 UTC</time> <span' in page
    assert "<bdi>Drifted, Slow</bdi>" in page


def test_a_version_names_which_request_it_was_made_for() -> None:
    """With a link to the request, and its recovery verdict."""
    site = Site()
    site.queries.views.append(model_view(ModelKey("shop", "ranking", "8"), ModelState.HEALTHY))
    address = MODEL_PAGE.replace("7", "8")
    assert "This version came from" not in site.http.get(address).text
    site.queries.records = [structs.replace(REQUEST, new_version="8", verdict=RecoveryVerdict.RECOVERED)]
    page = site.http.get(address).text
    assert f'This version came from <a href="/requests/{ID}">the request for <bdi>shop/ranking/7</bdi></a>' in page
    assert "; recovery verdict: recovered." in page
