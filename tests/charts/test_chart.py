"""Tests of the Helm chart with Helm itself, Kubernetes' schemas, and the bridge that the manifests describe."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bcrypt
import kubernetes_validate
import pytest
import requests
import yaml

from bridge.config.load import load
from tests.support.processes import Program, free_port
from tests.support.servers import http

ROOT = Path(__file__).parents[2]
CHART, KUSTOMIZE = ROOT / "charts" / "retrain-bridge", ROOT / "charts" / "kustomize"
GOLDEN = sorted((ROOT / "tests" / "charts" / "golden").glob("*.yaml"))
HELM = Path(sys.executable).parent / "helm"
OLDEST, NEWEST = "1.25", "1.35"  # versions of Kubernetes

Json = dict[str, Any]


def helm(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run Helm on the chart."""
    return subprocess.run([HELM, *arguments], capture_output=True, text=True, timeout=300, cwd=ROOT, check=False)


def render(*settings: str) -> list[Json]:
    """Return the objects of a release named `bridge`. settings: arguments of --set-json."""
    done = helm("template", "bridge", str(CHART), "--namespace=ml", *[f"--set-json={item}" for item in settings])
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def objects(text: str) -> list[Json]:
    """Return the objects of manifests."""
    return [document for document in yaml.safe_load_all(text) if document]


def only(found: list[Json], kind: str, name: str = "") -> Json:
    """Return the one object of a kind, or of a kind and name."""
    (item,) = [one for one in found if one["kind"] == kind and name in ("", one["metadata"]["name"])]
    return item


def pods(found: list[Json]) -> Iterator[Json]:
    """Return the specs of the workloads' pods."""
    for item in found:
        if item["kind"] in ("Deployment", "StatefulSet"):
            yield item["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with everything that scripts/render-chart writes."""
    folder = tmp_path_factory.mktemp("rendered")
    subprocess.run([ROOT / "scripts" / "render-chart", folder], check=True, timeout=120)
    return folder


@pytest.mark.parametrize(
    "path", [*GOLDEN, KUSTOMIZE / "retrain-bridge.yaml"], ids=lambda path: str(path.relative_to(ROOT))
)
def test_committed_manifests_are_those_of_the_chart(rendered: Path, path: Path) -> None:
    """After a change of the chart: scripts/render-chart, and read the difference."""
    assert (rendered / path.relative_to(ROOT)).read_text() == path.read_text()


def test_each_values_file_has_its_manifests(rendered: Path) -> None:
    """No golden file is left over from values that are gone."""
    written = sorted(path.name for path in (rendered / "tests" / "charts" / "golden").iterdir())
    assert written == [path.name for path in GOLDEN]
    assert len(GOLDEN) == 6


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("path", [*GOLDEN, KUSTOMIZE / "retrain-bridge.yaml"], ids=lambda path: path.stem)
def test_manifests_have_kubernetes_types(path: Path, version: str) -> None:
    """Strict: unknown fields are errors. Objects of the Prometheus operator are tested in test_operator.py."""
    checked = 0
    for item in objects(path.read_text()):
        if item["apiVersion"].startswith("monitoring.coreos.com/"):
            continue
        kubernetes_validate.validate(item, version, strict=True)
        checked += 1
    assert checked >= 4


@pytest.mark.parametrize("fault", ["field", "type"])
def test_planted_fault_is_found(fault: str) -> None:
    """The validator notices an unknown field and a wrong type."""
    item = only(objects((ROOT / "tests/charts/golden/sqlite.yaml").read_text()), "StatefulSet")
    if fault == "field":
        item["spec"]["template"]["spec"]["containers"][0]["volumeMount"] = []
    else:
        item["spec"]["replicas"] = "one"
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, NEWEST, strict=True)


def test_helm_lint_passes() -> None:
    """Helm's own checks, strict."""
    done = helm("lint", "--strict", str(CHART))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("replicas=3", "Additional property replicas is not allowed"),
        ('web={"modelMetrics": "most"}', "modelMetrics"),
        ('retention="90 days"', "retention"),
        ('rules={"models": {}}', "models"),
        ("service.port=0", "port"),
        ('image.digest="latest"', "digest"),
        ('log.level="trace"', "level"),
        ('persistence.accessModes=["ReadWriteMany"]', "accessModes"),
    ],
)
def test_wrong_value_is_refused_with_its_name(setting: str, said: str) -> None:
    """The schema of the values refuses keys that do not exist and values that cannot work."""
    done = helm("template", "bridge", str(CHART), f"--set-json={setting}")
    assert done.returncode != 0
    assert said in done.stderr


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_pods_pass_the_restricted_standard(path: Path) -> None:
    """Pod Security "restricted", and a root file system that nobody writes to."""
    specs = list(pods(objects(path.read_text())))
    assert specs
    for spec in specs:
        security = spec["securityContext"]
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] == 65532
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in [*spec.get("initContainers", ()), *spec["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
            }  # fmt: skip
            assert not [mount for mount in container["volumeMounts"] if "subPath" in mount]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_selectors_find_the_pods(path: Path) -> None:
    """Service, ServiceMonitor, disruption budget and network policy select the pods' labels."""
    found = objects(path.read_text())
    (workload,) = [item for item in found if item["kind"] in ("Deployment", "StatefulSet")]
    labels = workload["spec"]["template"]["metadata"]["labels"].items()
    selectors = [workload["spec"]["selector"]["matchLabels"], only(found, "Service")["spec"]["selector"]]
    for kind, key in (("PodDisruptionBudget", "selector"), ("NetworkPolicy", "podSelector")):
        selectors += [item["spec"][key]["matchLabels"] for item in found if item["kind"] == kind]
    for item in found:
        if item["kind"] == "ServiceMonitor":
            service = only(found, "Service")["metadata"]["labels"].items()
            assert item["spec"]["selector"]["matchLabels"].items() <= service
    for selector in selectors:
        assert selector.items() <= labels


def test_fleet_needs_postgresql() -> None:
    """Two pods on two SQLite volumes would each decide; Helm refuses them with the value to set."""
    done = helm("template", "bridge", str(CHART), "--set-json=fleet.enabled=true")
    assert done.returncode != 0
    assert "database.existingSecret" in done.stderr


def test_fleet_updates_without_a_gap() -> None:
    """A new replica is ready before an old one ends; each says its own address and a name that does not repeat."""
    found = render('database.existingSecret="d"', 'fleet={"enabled": true, "replicas": 3}')
    spec = only(found, "Deployment")["spec"]
    assert spec["replicas"] == 3
    assert spec["strategy"] == {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    arguments = spec["template"]["spec"]["containers"][0]["args"]
    assert "--fleet.advertise-address=http://$(POD_IP):9095" in arguments
    assert "--fleet.id=$(POD_NAME)-$(POD_UID)" in arguments


def test_network_policy_lets_the_replicas_of_a_fleet_reach_each_other() -> None:
    """A standby forwards to the owner; whatever peers the values name."""
    policy = {
        "enabled": True, "ingressFrom": [{"namespaceSelector": {}}],
        "egress": [{"to": [{"namespaceSelector": {}}], "ports": [{"port": 5432}]}],
    }  # fmt: skip
    given = (f"networkPolicy={json.dumps(policy)}", 'database.existingSecret="d"')
    spec = only(render(*given, "fleet.enabled=true"), "NetworkPolicy")["spec"]
    own, http_port = {"podSelector": spec["podSelector"]}, {"port": "http", "protocol": "TCP"}
    assert spec["ingress"] == [{"ports": [http_port], "from": [own, {"namespaceSelector": {}}]}]
    assert {"ports": [{"port": 9095, "protocol": "TCP"}], "to": [own]} in spec["egress"]
    alone = only(render(*given), "NetworkPolicy")["spec"]
    assert alone["ingress"][0]["from"] == [{"namespaceSelector": {}}]
    assert all(own not in rule.get("to", ()) for rule in alone["egress"])


def test_dashboards_are_the_projects() -> None:
    """A ConfigMap for each dashboard, with the label of Grafana's sidecar as text."""
    found = [item for item in render("dashboards.enabled=true") if "dashboard" in item["metadata"]["name"]]
    files = {path.name: json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").glob("*.json")}
    assert {name: json.loads(text) for item in found for name, text in item["data"].items()} == files
    assert len(found) == len(files)
    for item in found:
        assert item["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_rules_are_the_projects() -> None:
    """The PrometheusRule has the alerts on the bridge and, unless switched off, the rules of the models."""

    def groups(name: str) -> list[Json]:
        value: list[Json] = yaml.safe_load((ROOT / "rules" / name).read_text())["groups"]
        return value

    bridge, models = groups("prometheus-retrain-bridge.yml"), groups("prometheus-models.yml")
    both = only(render("prometheusRule.enabled=true"), "PrometheusRule")
    assert both["spec"]["groups"] == bridge + models
    without = only(render('prometheusRule={"enabled": true, "modelRules": false}'), "PrometheusRule")
    assert without["spec"]["groups"] == bridge


def test_scraped_job_has_the_name_that_alerts_use() -> None:
    """The alert RetrainBridgeDown looks for job="retrain-bridge", whatever the release is called."""
    (endpoint,) = only(render("serviceMonitor.enabled=true"), "ServiceMonitor")["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"action": "replace", "targetLabel": "job", "replacement": "retrain-bridge"}]
    assert endpoint["honorLabels"] is False


def test_probes_sign_in_where_there_are_users(tmp_path: Path) -> None:
    """With users every path requires a password, so the probe is the bridge's own command, with client.yml."""
    users, client = "basic_auth_users: {kubelet: %s}\n", "basic_auth: {username: kubelet, password: probe}\n"
    found = render('web.existingSecret="users"')
    (spec,) = pods(found)
    (container,) = spec["containers"]
    assert container["livenessProbe"]["tcpSocket"] == {"port": "http"}
    assert container["readinessProbe"]["exec"] == container["startupProbe"]["exec"]
    arguments, _ = unpacked(found, tmp_path)
    web = tmp_path / "etc/retrain-bridge/web"
    (web / "web.yml").write_text(users % bcrypt.hashpw(b"probe", bcrypt.gensalt(4)).decode())
    (web / "client.yml").write_text(client)
    url = f"127.0.0.1:{free_port()}"
    flags = [item.replace("=:9095", f"={url}") for item in arguments]
    program = Program([sys.executable, "-m", "bridge.cli", *flags], tmp_path, "bridge")
    probe = container["readinessProbe"]["exec"]["command"][1:]
    probe = [item.replace("127.0.0.1:9095", url).replace("=/etc/", f"={tmp_path}/etc/") for item in probe]

    def ready() -> bool:
        command = [sys.executable, "-m", "bridge.cli", *probe]
        return subprocess.run(command, capture_output=True, timeout=300, check=False).returncode == 0

    try:
        program.start()
        program.wait_ready(ready, 60)
        assert http("GET", f"http://{url}/-/ready")[0] == 401
        (web / "client.yml").write_text(client.replace("probe", "wrong"))
        assert not ready()
    finally:
        program.kill()


def test_helm_test_queries_the_service() -> None:
    """The pod of `helm test` checks the bridge's health through its Service, under the same restrictions."""
    pod = only(render("service.port=80"), "Pod")
    kubernetes_validate.validate(pod, NEWEST, strict=True)
    (container,) = pod["spec"]["containers"]
    assert container["args"] == ["healthcheck", "--bridge.url=http://bridge-retrain-bridge.ml.svc:80"]
    assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_sidecar_finds_a_file_before_any_other_exists() -> None:
    """The chart's own rules have the label: a pattern that matches no file would be an error."""
    found = render("rulesSidecar.enabled=true")
    labels = only(found, "ConfigMap", "bridge-retrain-bridge-rules")["metadata"]["labels"]
    assert labels["retrain_bridge_rules"] == "1"
    (spec,) = pods(found)
    assert [container["name"] for container in spec["initContainers"]] == ["rules"]
    assert spec["automountServiceAccountToken"] is True
    assert only(found, "Role")["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}
    ]


def test_kustomization_names_what_exists() -> None:
    """Its fields, its files, and the names that the manifests use; scripts/test-kustomize runs Kustomize itself."""
    value = yaml.safe_load((KUSTOMIZE / "kustomization.yaml").read_text())
    assert (KUSTOMIZE / value["resources"][0]).is_file()
    assert (KUSTOMIZE / value["resources"][1] / "kustomization.yaml").is_file()
    made = {item["name"]: item["files"] for item in value["configMapGenerator"]}
    assert all((KUSTOMIZE / file).is_file() for files in made.values() for file in files)
    text = (KUSTOMIZE / "retrain-bridge.yaml").read_text()
    assert sorted(made) == ["retrain-bridge-config", "retrain-bridge-rule-files"]
    assert all(f'name: "{name}"' in text for name in made)


def unpacked(found: list[Json], folder: Path) -> tuple[list[str], Path]:
    """Write the mounted ConfigMaps as kubelet does, below `folder`; return the bridge's arguments and bridge.yml."""
    maps = {item["metadata"]["name"]: item["data"] for item in found if item["kind"] == "ConfigMap"}
    (spec,) = pods(found)
    (container,) = [item for item in spec["containers"] if item["name"] == "retrain-bridge"]
    volumes = {item["name"]: item for item in spec["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes.get(mount["name"], {})
        sources = [item["configMap"]["name"] for item in volume.get("projected", {}).get("sources", ())]
        sources += [volume["configMap"]["name"]] if "configMap" in volume else []
        target = folder / mount["mountPath"].lstrip("/")
        target.mkdir(parents=True, exist_ok=True)
        for source in sources:
            for name, text in maps[source].items():
                (target / name).write_text(text.replace("/etc/retrain-bridge", f"{folder}/etc/retrain-bridge"))
    arguments = [
        item.replace("=/etc/", f"={folder}/etc/").replace("=/var/", f"={folder}/var/") for item in container["args"]
    ]
    return arguments, folder / "etc/retrain-bridge/config/bridge.yml"


def test_rendered_bridge_starts_and_passes_its_probes(tmp_path: Path) -> None:
    """The arguments and files of the default manifests, run: ready, alive, and the page answers under every name."""
    found = render('rules={"models.yml": {"groups": [{"name": "m", "rules": [{"retrain": "R", "expr": "m > 1"}]}]}}')
    arguments, _ = unpacked(found, tmp_path)
    port = free_port()
    flags = [item.replace("=:9095", f"=127.0.0.1:{port}") for item in arguments]
    program = Program([sys.executable, "-m", "bridge.cli", *flags], tmp_path, "bridge")
    (spec,) = pods(found)
    probes = [spec["containers"][0][f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")]
    try:
        program.start()
        program.wait_ready(lambda: http("GET", f"http://127.0.0.1:{port}{probes[0]}", timeout=2)[0] == 200, 60)
        assert [http("GET", f"http://127.0.0.1:{port}{path}")[0] for path in probes] == [200, 200, 200]
        names = [item.partition("=")[2] for item in flags if item.startswith("--web.allowed-host=")]
        assert "bridge-retrain-bridge.ml.svc" in names
        for name in names:
            answer = requests.get(f"http://127.0.0.1:{port}/rules", headers={"Host": f"{name}:9095"}, timeout=60)
            assert answer.status_code == 200, answer.text
        stranger = requests.get(f"http://127.0.0.1:{port}/rules", headers={"Host": "example.org"}, timeout=60)
        assert stranger.status_code >= 400
    finally:
        program.kill()


@pytest.mark.parametrize("name", ["sqlite", "mimir", "nothing"])
def test_rendered_configuration_is_valid(tmp_path: Path, name: str) -> None:
    """bridge.yml and the rule files of the golden manifests load."""
    found = objects((ROOT / f"tests/charts/golden/{name}.yaml").read_text())
    _, config = unpacked(found, tmp_path)
    assert load(config).rule_texts


def test_kustomize_configuration_is_valid(tmp_path: Path) -> None:
    """bridge.yml and rules.yml beside kustomization.yaml load."""
    value = yaml.safe_load((KUSTOMIZE / "bridge.yml").read_text())
    changed = copy.deepcopy(value)
    changed["rule_files"] = [str(KUSTOMIZE / "rules.yml")]
    (tmp_path / "bridge.yml").write_text(yaml.safe_dump(changed))
    assert [group.name for group in load(tmp_path / "bridge.yml").groups] == ["models"]
