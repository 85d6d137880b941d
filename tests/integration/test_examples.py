"""The files that people start from: examples/, compose.yaml, rules/, checked by the programs that read them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import bcrypt
import pytest
import yaml

from bridge.authoring.check.check import check_config, check_rules
from bridge.coordinator.config import load_config
from bridge.web.http.web_config import load_web_config

TOP = Path(__file__).parents[2]
CALLERS = ("client.yml", "coordinator.yml", "prometheus.yml")  # those who call the bridge
COMPOSE = yaml.safe_load((TOP / "compose.yaml").read_text())


@pytest.fixture
def stack(tmp_path: Path) -> Path:
    """examples/compose with its secret made, by the script that people run."""
    folder = tmp_path / "compose"
    shutil.copytree(TOP / "examples" / "compose", folder)
    subprocess.run([folder / "make-secret"], check=True, timeout=300)
    return folder


def test_the_bridge_takes_every_configuration() -> None:
    """No problem in any bridge.yml or rule file."""
    for file in (TOP / "examples" / "bridge.yml", TOP / "examples" / "compose" / "bridge.yml"):
        assert check_config(file) == []
    assert check_rules([TOP / "rules" / "demo.yml"]) == []


def test_the_coordinator_takes_its_configuration_and_secret(stack: Path) -> None:
    """Listening beyond loopback needs the secret; the script makes a usable one, and keeps one that is there."""
    config = load_config(stack / "coordinator.yml")
    (secret,) = config.secrets()
    subprocess.run([stack / "make-secret"], check=True, timeout=300)
    assert config.secrets() == (secret,)


@pytest.mark.parametrize(
    "command",
    [["promtool", "check", "config", "prometheus.yml"], ["amtool", "check-config", "alertmanager.yml"]],
    ids=["prometheus", "alertmanager"],
)
def test_the_peers_take_theirs(stack: Path, command: list[str]) -> None:
    """promtool and amtool say so."""
    done = subprocess.run(command, cwd=stack, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_on_the_bridge_use_metrics_that_it_has() -> None:
    """promtool takes the file, and every metric in it and in the panels is a documented one."""
    file = TOP / "rules" / "prometheus-retrain-bridge.yml"
    done = subprocess.run(
        ["promtool", "check", "rules", file], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    documented = set(re.findall(r"^### (retrain_bridge_\w+)", (TOP / "docs" / "metrics.md").read_text(), re.MULTILINE))
    used = set(re.findall(r"retrain_bridge_\w+", file.read_text() + (TOP / "grafana" / "README.md").read_text()))
    assert len(used) > 8
    assert used <= documented


def test_what_compose_mounts_is_there(stack: Path) -> None:
    """Each file of ours exists (the secret once it is made), each named volume is declared, each image has a tag."""
    for service in COMPOSE["services"].values():
        assert re.search(r":[\w.-]+$", service["image"])
        assert not service["image"].endswith(":latest")
        for volume in service["volumes"]:
            source = volume.split(":")[0]
            if source.startswith("./examples/compose/"):
                assert (stack / source.removeprefix("./examples/compose/")).exists(), source
            elif source.startswith("./"):
                assert (TOP / source).exists(), source
            else:
                assert source in COMPOSE["volumes"]


def test_compose_names_only_hosts_that_it_starts() -> None:
    """Every address in the configurations is a service and its port."""
    text = "".join(file.read_text() for file in (TOP / "examples" / "compose").rglob("*.yml"))
    hosts = set(re.findall(r"https?://([\w-]+):\d+", text))
    assert hosts == {"prometheus", "alertmanager", "coordinator", "bridge"}
    targets = set(re.findall(r'targets: \["([\w-]+):\d+"\]', text))
    assert targets == {"models", "bridge", "coordinator", "alertmanager"}
    assert hosts | targets <= set(COMPOSE["services"])


def test_compose_allows_operator_actions_and_authenticates_programs() -> None:
    """The page needs users, or every act is refused; whoever calls the bridge has a password that its users have."""
    users = load_web_config(TOP / "examples/compose/web.yml").basic_auth_users
    assert "--web.config.file=/etc/retrain-bridge/web.yml" in COMPOSE["services"]["bridge"]["command"]
    files = {name: yaml.safe_load((TOP / "examples/compose" / name).read_text()) for name in CALLERS}
    calls = [files["client.yml"], files["coordinator.yml"]["bridge_http_config"]]
    calls += [job for job in files["prometheus.yml"]["scrape_configs"] if job["job_name"] == "retrain-bridge"]
    given = [(call["basic_auth"]["username"], call["basic_auth"]["password"]) for call in calls]
    assert len(given) == 3
    assert all(bcrypt.checkpw(password.encode(), users[name].encode()) for name, password in given)
    (told,) = re.findall(r'as (\w+), password "(\w+)"', (TOP / "compose.yaml").read_text())
    assert bcrypt.checkpw(told[1].encode(), users[told[0]].encode())
