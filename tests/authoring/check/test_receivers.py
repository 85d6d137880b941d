"""Checks of receivers."""

from __future__ import annotations

import json
from pathlib import Path

from bridge.app.send_test import preview
from bridge.authoring.check.check import check_config
from bridge.authoring.check.receivers import ask_receivers
from tests.support.notifications import T0
from tests.support.orchestrators.python import Airflow3, Prefect
from tests.support.orchestrators.stub import Stub


def configured(folder: Path, *stubs: Stub, **more: object) -> Path:
    """A configuration with an entry for each stub, after a webhook."""
    entries = [
        {"preset": stub.preset, "url": stub.url, "target": dict(stub.target), **stub.entry, **more} for stub in stubs
    ]
    config = {
        "prometheus": {"url": "http://127.0.0.1:1"}, "route": {"receiver": "team"},
        "receivers": [{"name": "team", "webhook_configs": [{"url": "http://127.0.0.1:1"}], "run_configs": entries}],
    }  # fmt: skip
    file = folder / "bridge.yml"
    file.write_text(json.dumps(config, indent=1))
    return file


def test_a_receiver_that_works_has_no_problem_and_starts_nothing(tmp_path: Path) -> None:
    """Login and target are tried."""
    with Airflow3() as airflow, Prefect() as prefect:
        assert ask_receivers(configured(tmp_path, airflow, prefect), T0) == []
        assert (airflow.tokens, airflow.starts, prefect.starts) == (1, 0, 0)


def test_what_is_wrong_is_named_with_its_entry(tmp_path: Path) -> None:
    """Paused, absent, refused: the server's own words."""
    with Airflow3() as airflow, Prefect() as prefect:
        airflow.paused, prefect.gone = True, True
        told = ask_receivers(configured(tmp_path, airflow, prefect), T0)
        assert [(problem.path, problem.message[:40]) for problem in told] == [
            ("receivers[0].run_configs[0]", "the DAG is paused"),
            ("receivers[0].run_configs[1]", "no such target (flow train, deployment p"),
        ]
        assert all(problem.line > 1 for problem in told)
        refused = ask_receivers(configured(tmp_path, airflow, login={"username": "bridge", "password": "no"}), T0)
        assert [problem.message for problem in refused] == ["login: HTTP 401"]
        token = {"username": "bridge", "password": "pw", "token": "no_such_key"}
        lost = ask_receivers(configured(tmp_path, airflow, login=token), T0)
        assert [problem.message for problem in lost] == ["login: HTTP 201, and no token at 'no_such_key'"]


def test_an_unproven_preset_is_a_warning(tmp_path: Path) -> None:
    """With the page that it follows."""
    file = configured(tmp_path)
    text = json.loads(file.read_text())
    text["receivers"][0]["run_configs"] = [
        {"preset": "databricks", "url": "http://localhost:1", "target": {"job_id": 1}},
        {"preset": "prefect", "url": "http://localhost:1", "target": {"flow": "a", "deployment": "b"}},
    ]
    file.write_text(json.dumps(text))
    assert [(item.lint, item.path) for item in check_config(file, lint=True)] == [
        ("unproven-preset", "receivers[0].run_configs[0].preset")
    ]


def test_a_dry_run_prints_the_exact_request(tmp_path: Path) -> None:
    """And sends none."""
    with Airflow3() as airflow:
        shown = dict(preview(configured(tmp_path, airflow), "team"))
        assert airflow.starts == 0
    head, _, body = shown["team/run/0"].partition("\n\n")
    assert head.splitlines()[0] == f"POST {airflow.url}/api/v2/dags/retrain/dagRuns"
    assert "Authorization: <secret>" in head
    sent = json.loads(body)
    assert sent["logical_date"] is None
    assert sent["dag_run_id"] == f"rb-{sent['conf']['episode']}"
    assert shown["team/webhook/0"] == "shows no request in advance"
