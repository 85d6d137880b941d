"""Labels and annotations of a request's alert."""

from __future__ import annotations

from bridge.ports import request_alerts
from bridge.ports.request_alerts import RESERVED_LABELS, Sender
from tests.support.notifications import request


def test_labels_that_identify_a_request_cannot_be_overwritten() -> None:
    """Neither a rule's nor external labels can hide the real model, rule and id."""
    hostile = dict.fromkeys(RESERVED_LABELS, "wrong")
    labels = request_alerts.identity(request(labels=hostile), Sender("", hostile))
    assert labels == {
        "alertname": "ModelRetrainRequested",
        "project": "shop",
        "pipeline": "ranking",
        "version": "7",
        "rule": "DriftHigh",
        "retrain_request_id": request().id,
    }


def test_external_labels_yield_to_the_rules_own() -> None:
    """As in Prometheus: the more specific one wins."""
    labels = request_alerts.identity(request(labels={"team": "ranking"}), Sender("", {"team": "ops", "cluster": "eu1"}))
    assert (labels["team"], labels["cluster"]) == ("ranking", "eu1")


def test_a_rules_own_summary_replaces_the_built_in_one() -> None:
    """The rule's own text takes precedence."""
    assert request_alerts.remarks(request(annotations={"summary": "Ranking drifts"}))["summary"] == "Ranking drifts"


def test_every_reason_is_reported_and_a_late_request_reports_it() -> None:
    """Every linked rule's reason is included; a request found after downtime is marked."""
    text = request_alerts.remarks(request(reasons=("drift is high", "latency is high"), late=True))["description"]
    assert text == (
        "drift is high; latency is high (rule DriftHigh, attempt 1). Detected late, after downtime of the bridge."
    )


def test_without_an_external_url_there_is_no_link() -> None:
    """A link that cannot be opened is worse than none."""
    assert Sender().link("0" * 32) == ""
    assert Sender("http://bridge.example/x/").link("ab") == "http://bridge.example/x/requests/ab"


def test_the_run_of_a_request_is_an_annotation() -> None:
    """Its labels stay, so that nobody is notified again."""
    with_run = request_alerts.requested(
        request(), Sender(), starts_at=1, ends_at=2, link="https://prefect.example/runs/1"
    )
    without = request_alerts.requested(request(), Sender(), starts_at=1, ends_at=2)
    assert with_run.annotations == {**without.annotations, "run_url": "https://prefect.example/runs/1"}
    assert with_run.labels == without.labels
