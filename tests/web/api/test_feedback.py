"""Feedback, shared causes and forecasts in the API."""

from __future__ import annotations

import pytest
from msgspec import structs

from bridge.domain.request import HoldReason, RequestState
from bridge.domain.shared_cause import SharedCause
from tests.support.fake_views import AT, ID, MODEL, REQUEST
from tests.support.web_app import Site


@pytest.fixture
def site() -> Site:
    return Site()


def test_a_forecast_is_given_once_enough_is_known(site: Site) -> None:
    """From the requests of the project; null before."""
    path = f"/api/v1/forecast?project={MODEL.project}&pipeline={MODEL.pipeline}"
    assert site.http.get(path).json()["data"] == {"next_retraining": None}
    day = 86_400_000
    site.queries.records = [
        structs.replace(
            REQUEST,
            request=structs.replace(REQUEST.request, triggered_at=AT - day * age, episode_start=AT - day * age),
            state=RequestState.SUCCEEDED, sent_at=AT - day * age, ended_at=AT - day * age + 1,
        )
        for age in (50, 40, 30, 20, 10, 1)
    ]  # fmt: skip
    found = site.http.get(path).json()["data"]["next_retraining"]
    assert (found["since"], found["own"], found["others"]) == ("2023-11-13T22:13:20.001Z", 5, 0)
    assert "2023-11-14" < found["earliest"] < found["latest"] < "2024-01"
    page = site.http.get("/model", params=MODEL.labels()).text
    assert 'The pipeline is expected to need its next retraining between <time datetime="2023-11-' in page
    assert site.http.get("/api/v1/forecast?project=shop").status_code == 400


def test_feedback_is_recorded_and_counted(site: Site) -> None:
    """The API returns the request with it; rules show their counts."""
    path = f"/api/v1/requests/{ID}/feedback"
    found = site.http.post(path, json={"feedback": "late", "by": "ada", "note": "two days"}).json()["data"]
    assert found["feedback"] == "late"
    assert site.commands.acts == [("late", "ada", "two days")]
    assert site.http.post(path, json={"feedback": "superb"}).status_code == 400
    assert site.http.post(f"/api/v1/requests/{ID[::-1]}/feedback", json={"feedback": "late"}).status_code == 404
    (group,) = site.http.get("/api/v1/rules").json()["data"]["groups"]
    assert group["rules"][0]["feedback"] == {"useful": 2, "false": 1, "late": 0}


def test_a_shared_cause_is_shown_with_its_evidence(site: Site) -> None:
    """Numbers for programs, and one line for people."""
    cause = SharedCause("node", "n7", 17, 20, 1, 80, AT, ("shop/ranking",))
    site.queries.records = [structs.replace(REQUEST, hold=HoldReason.NOT_THE_MODEL, shared_cause=cause)]
    (found,) = site.http.get("/api/v1/requests").json()["data"]["requests"]
    assert found["hold"] == "not_the_model"
    assert found["shared_cause"] == {
        "label": "node", "value": "n7", "breached": 17, "total": 20, "others_breached": 1, "others": 80,
        "since": "2023-11-14T22:13:20.000Z", "models": ["shop/ranking"],
        "text": '17 of 20 models with node="n7" are unhealthy, and 1 of 80 others',
    }  # fmt: skip
