"""Who is told of which alert: the table of the shipped example, by amtool itself; and the names in it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

from bridge.ports import request_alerts
from tests.support.routing import EXAMPLE, TEMPLATES

MODEL = ("project=shop", "pipeline=ranking", "version=7")
ROUTES = [
    (("alertname=ModelRetrainRequested", *MODEL), "coordinator,people"),
    (("alertname=ModelRetrainRequested", "test=true", *MODEL), "people"),
    (("alertname=ModelRetrainHeld", *MODEL), "people"),
    (("alertname=ModelRetrainAwaitingApproval", *MODEL), "approvers"),
    (("alertname=ModelRetrainEscalated", *MODEL), "approvers"),
    (("alertname=ModelRetrainStorm", "group=serving"), "approvers"),
    (("alertname=ModelRetrainInProgress", *MODEL), "nobody"),
    (("alertname=ModelRetrainFlapping", *MODEL), "people"),
    (("alertname=SlowButHealthy", *MODEL), "people"),
    (("alertname=RetrainBridgeDown", "job=retrain-bridge"), "bridge-operators"),
    (("alertname=RetrainBridgeDeliveriesDead", "job=retrain-bridge", "receiver=team"), "bridge-operators"),
    (("alertname=RetrainBridgeDown", "test=true"), "bridge-operators"),
]


def verify(labels: tuple[str, ...], receivers: str, file: Path = EXAMPLE) -> tuple[int, str]:
    """Exit code and output of amtool."""
    command = ["amtool", "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receivers}"]
    done = subprocess.run([*command, *labels], capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(("labels", "receivers"), ROUTES, ids=[labels[0] for labels, _ in ROUTES])
def test_an_alert_goes_to_those_whom_it_concerns(labels: tuple[str, ...], receivers: str) -> None:
    """Machines get requests, people all but what only inhibits, the bridge's operators its health."""
    code, said = verify(labels, receivers)
    assert code == 0, said


def test_a_wrong_route_would_be_found() -> None:
    """amtool says what it expected."""
    code, said = verify(("alertname=ModelRetrainHeld", *MODEL), "coordinator")
    assert code != 0
    assert "Expected receivers did not match resolved receivers" in said


def test_every_alert_of_the_bridge_is_in_the_table() -> None:
    """One that is new in the code, or in the shipped rules, has to be routed."""
    ours = {
        request_alerts.REQUESTED,
        request_alerts.HELD,
        request_alerts.AWAITING_APPROVAL,
        request_alerts.ESCALATED,
        request_alerts.STORM,
    }
    models = yaml.safe_load((EXAMPLE.parent / "prometheus-models.yml").read_text())["groups"][0]["rules"]
    ours |= {rule["alert"] for rule in models if "alert" in rule}
    assert ours <= {labels[0].removeprefix("alertname=") for labels, _ in ROUTES}


def test_amtool_takes_the_example_and_its_templates(tmp_path: Path) -> None:
    """As it is in the folder; a template with a mistake is refused."""
    done = subprocess.run(["amtool", "check-config", EXAMPLE], capture_output=True, text=True, check=False)
    assert (done.returncode, "1 templates" in done.stdout) == (0, True), done.stdout + done.stderr
    (tmp_path / EXAMPLE.name).write_text(EXAMPLE.read_text())
    (tmp_path / TEMPLATES.name).write_text(TEMPLATES.read_text().replace("{{ end }}", "", 1))
    wrong = subprocess.run(
        ["amtool", "check-config", tmp_path / EXAMPLE.name], capture_output=True, text=True, check=False
    )
    assert wrong.returncode != 0
