"""Test of the image and compose.yaml, for scripts/test-image; runs in its own namespaces, on an image in a store.

Runs the image's own command, then every service of compose.yaml with its command, its files at their paths and its host
names. Prometheus and Alertmanager are those of this machine; Grafana is left out.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

TOP = Path(__file__).resolve().parent.parent
COMPOSE = yaml.safe_load((TOP / "compose.yaml").read_text())["services"]
PEERS = {"prometheus": "prometheus", "alertmanager": "prometheus-alertmanager"}
USER = 65532
BRIDGE = "http://localhost:9095"
LIMIT = 180.0
LARGEST = 150  # MB of the layer with the bridge and its dependencies
LABELS = ("title", "description", "licenses", "base.name", "version", "revision", "source")
CONFIG = """\
prometheus: {url: http://127.0.0.1:9090}
models: {labels: {project: project, pipeline: pipeline, version: version}}
route: {receiver: log}
receivers: [{name: log, log_configs: [{}]}]
"""
started = time.monotonic()


def say(text: str) -> None:
    """Print a line with the seconds since the start."""
    print(f"{time.monotonic() - started:6.1f}s  {text}", flush=True)


def until(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true result of `condition`; raises TimeoutError after LIMIT seconds."""
    deadline = time.monotonic() + LIMIT
    while not (result := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {LIMIT:g} s")
        time.sleep(0.2)
    return result


def loopback_up() -> None:
    """Enable the loopback interface of this network namespace."""
    with socket.socket() as handle:
        fcntl.ioctl(handle, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))  # SIOCSIFFLAGS: UP, RUNNING


def call(method: str, url: str, body: object = None, user: str = "") -> tuple[int, Any]:
    """Return status and JSON (or text) of a request, sent as by a browser; status 0 without an answer."""
    headers = {"Content-Type": "application/json", "Origin": BRIDGE, "Sec-Fetch-Site": "same-origin"}
    if user:
        headers["Authorization"] = f"Basic {base64.b64encode(user.encode()).decode()}"
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method), timeout=20) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    except OSError:
        return 0, ""
    try:
        return status, json.loads(text)
    except ValueError:
        return status, text


class Image:
    """Image in the store, with one container in which every command runs."""

    def __init__(self, work: Path, hosts: list[str]) -> None:
        self._work = work
        self.config = json.loads(self._buildah("inspect", "--type=image", "localhost/retrain-bridge:local"))["Docker"][
            "config"
        ]
        aliases = [f"--add-host={host}:127.0.0.1" for host in hosts]
        self.container = self._buildah("from", "--pull=never", "--isolation=chroot", *aliases, "retrain-bridge:local")

    def _command(self, *words: str) -> list[str]:
        store = ["--root", f"{self._work}/store", "--runroot", f"{self._work}/run", "--storage-driver", "vfs"]
        return ["buildah", *store, *words]

    def _buildah(self, *words: str) -> str:
        done = subprocess.run(self._command(*words), capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
        return done.stdout.strip()

    def output_of(self, command: list[str], volumes: list[str]) -> str:
        """Return the output of a command in the container; raises AssertionError if it fails."""
        return self._buildah("run", *(f"--volume={item}" for item in volumes), self.container, "--", *command)

    def start(self, name: str, command: list[str], volumes: list[str]) -> Program:
        mounted = [f"--volume={item}" for item in volumes]
        return Program(self._work, name, self._command("run", *mounted, self.container, "--", *command))

    def files(self) -> Path:
        return Path(self._buildah("mount", self.container))


class Program:
    """Started program with its log. buildah forwards no signals, so they go to its last descendant."""

    def __init__(self, work: Path, name: str, command: list[str]) -> None:
        self.name, self.log = name, work / f"{name}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def alive(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}")
        return True

    def ready(self, url: str, user: str = "") -> None:
        until(lambda: self.alive() and call("GET", url, user=user)[0] == 200, f"{url} of {self.name}")
        say(f"{self.name}: {url} answers 200")

    def pid(self) -> int:
        """Return the process id of the last descendant, which any thread of its ancestors may have started."""
        pid = self.process.pid
        while started := " ".join(file.read_text() for file in Path(f"/proc/{pid}/task").glob("*/children")).split():
            pid = int(started[-1])
        return pid

    def end(self) -> None:
        """Send SIGTERM, and check that the exit code is 0."""
        os.kill(self.pid(), signal.SIGTERM)
        assert self.process.wait(LIMIT) == 0, self.log.read_text()[-3000:]


def own_command(image: Image, work: Path) -> None:
    """Check ENTRYPOINT, CMD, HEALTHCHECK and user of the image, with loopback addresses in its configuration."""
    file = work / "bridge.yml"
    file.write_text(CONFIG)
    volumes = [f"{file}:/etc/retrain-bridge/bridge.yml:ro"]
    check = image.config["Healthcheck"]["Test"]
    assert check[0] == "CMD"
    program = image.start("own", [*image.config["Entrypoint"], *image.config["Cmd"]], volumes)
    program.ready(f"{BRIDGE}/-/ready")
    assert f"Uid:\t{USER}\t" in Path(f"/proc/{program.pid()}/status").read_text()
    image.output_of(check[1:], [])
    program.end()
    try:
        image.output_of(check[1:], [])
    except AssertionError:
        say("HEALTHCHECK succeeds while the bridge runs, as user 65532, and fails afterwards")
    else:
        raise AssertionError("HEALTHCHECK succeeds without a bridge")


def small_and_read_only(image: Image, began: float) -> None:
    """Check size, labels and bill of the image, and that the runs wrote nowhere but to /tmp and the volume."""
    layer = image.files() / "opt/retrain-bridge"
    size = sum(file.stat().st_size for file in layer.rglob("*") if not file.is_symlink()) / 1e6
    assert size <= LARGEST, f"the layer of the bridge has {size:.0f} MB"
    labels = image.config["Labels"]
    missing = [name for name in LABELS if not labels.get(f"org.opencontainers.image.{name}")]
    assert not missing, missing
    assert not list(layer.glob("bin/pip*"))
    skipped = ("tmp", "var/lib/retrain-bridge", "run", "etc/retrain-bridge", "proc", "sys", "dev")
    written = [
        file
        for file in image.files().rglob("*")
        if file.is_file() and not file.is_symlink() and file.stat().st_mtime > began
        and not str(file.relative_to(image.files())).startswith(skipped)
        and file.name not in ("hosts", "resolv.conf", ".containerenv")
    ]  # fmt: skip
    assert not written, written
    say(f"the layer of the bridge has {size:.0f} MB, and nothing was written to the root file system")


def no_settings_of_this_machine(image: Image, work: Path) -> None:
    """Check that neither the image's configuration nor its files contain pip settings of this machine."""
    assert not [item for item in image.config["Env"] if "pip" in item.lower() or "proxy" in item.lower()]
    lines = (work / "pip.conf").read_text().splitlines()
    values = [value.strip() for _, equals, value in (line.partition("=") for line in lines) if "://" in value]
    for file in (image.files() / "opt/retrain-bridge").rglob("*"):
        if file.is_file() and not file.is_symlink():
            data = file.read_bytes()
            assert not [value for value in values if value.encode() in data], file
    found = image.files() / "etc/pip.conf"
    assert not found.exists() or not found.read_text(), found
    say("the image contains no pip settings of this machine")


def bill_of_materials(image: Image) -> None:
    """Check that the image's CycloneDX document, validated by its tool, lists every distribution with its version."""
    folder = image.files() / "opt/retrain-bridge"
    found = json.loads((folder / "share/sbom.cdx.json").read_text())
    assert found["bomFormat"] == "CycloneDX", found["bomFormat"]

    def plain(name: str) -> str:
        return re.sub(r"[-_.]+", "-", name).lower()

    named = {(plain(item["name"]), item["version"]) for item in found["components"]}
    metadata = [file.read_text() for file in folder.glob("lib/python3*/site-packages/*.dist-info/METADATA")]
    heads = [dict(re.findall(r"^(Name|Version): (.+)$", text.partition("\n\n")[0], re.M)) for text in metadata]
    installed = {(plain(head["Name"]), head["Version"]) for head in heads}
    assert installed <= named, installed - named
    assert len(installed) > 30, installed
    say(f"the software bill of materials (CycloneDX {found['specVersion']}) lists all {len(installed)} distributions")


def volumes_of(name: str, work: Path) -> list[str]:
    """Return the volumes of a service: project files unchanged, named volumes as folders below `work`."""
    found = []
    for volume in COMPOSE[name]["volumes"]:
        source, target, *rest = volume.split(":")
        if not source.startswith("./"):
            folder = work / "volumes" / source
            folder.mkdir(parents=True, exist_ok=True)
            os.chown(folder, USER, USER)
            source = str(folder)
        found.append(":".join([str(TOP / source), target, *rest]))
    return found


def peer(name: str, work: Path) -> Program:
    """Start a service from this machine's program instead of its image, with its paths below a folder."""
    top = work / "peers" / name
    links = {}
    for volume in volumes_of(name, work):
        source, target = volume.split(":")[:2]
        (top / target[1:]).parent.mkdir(parents=True, exist_ok=True)
        (top / target[1:]).symlink_to(source)
        links[target] = top / target[1:]
    command = [word.replace("=/", f"={top}/") for word in COMPOSE[name]["command"]]
    assert links
    return Program(work, name, [PEERS[name], *command])


def service(image: Image, name: str, work: Path) -> Program:
    """Start a service of compose.yaml from the image."""
    about = COMPOSE[name]
    entrypoint = about.get("entrypoint", image.config["Entrypoint"])
    return image.start(name, [*entrypoint, *about.get("command", [])], volumes_of(name, work))


def healthy(image: Image, name: str, work: Path) -> None:
    """Run the health check of a service; raises AssertionError if it fails."""
    kind, *command = COMPOSE[name]["healthcheck"]["test"]
    assert kind == "CMD"
    image.output_of(command, volumes_of(name, work))


def compose(image: Image, work: Path) -> None:
    """Run all services, then sign in, look, approve and reload."""
    subprocess.run([TOP / "examples/compose/make-secret"], check=True, timeout=LIMIT)
    programs = {name: peer(name, work) for name in PEERS}
    programs |= {name: service(image, name, work) for name in ("models", "coordinator", "bridge")}
    assert set(programs) | {"grafana"} == set(COMPOSE)
    admin = "admin:retrain"
    for name, url in (("prometheus", "http://localhost:9090"), ("alertmanager", "http://localhost:9093"),
                      ("models", "http://localhost:8000"), ("coordinator", "http://localhost:8090"),
                      ("bridge", BRIDGE)):  # fmt: skip
        programs[name].ready(f"{url}/-/ready", admin if name == "bridge" else "")
    for name in ("models", "coordinator", "bridge"):
        healthy(image, name, work)
    people(admin)
    up = call("GET", "http://localhost:9090/api/v1/query?query=up")[1]["data"]["result"]
    assert {item["metric"]["job"]: item["value"][1] for item in up} == dict.fromkeys(
        ("models", "retrain-bridge", "coordinator"), "1"
    ), up
    for program in programs.values():
        program.alive()
    for name in ("bridge", "coordinator"):
        programs[name].end()


def people(admin: str) -> None:
    """Check that the web interface shows the models, that approval starts the retraining, and that reload works."""
    assert call("GET", f"{BRIDGE}/")[0] == 401

    def models() -> bool:
        status, page = call("GET", f"{BRIDGE}/", user=admin)
        return status == 200 and all(name in page for name in ("ranking", "search", "scoring"))

    def request(state: str) -> Any:
        found = call("GET", f"{BRIDGE}/api/v1/requests", user=admin)[1]["data"]["requests"]
        return next((item for item in found if item["state"] == state and item["pipeline"] == "ranking"), None)

    until(models, "three models in the web interface")
    say("the web interface shows three models")
    waiting = until(lambda: request("awaiting_approval"), "a request that waits for approval")
    say(f"a request waits for approval: {waiting['reason']}")
    status, answer = call("POST", f"{BRIDGE}/api/v1/requests/{waiting['id']}/approve", {}, admin)
    assert status == 200, answer
    done = until(lambda: request("succeeded"), "the end of the retraining")
    assert (done["id"], done["new_version"]) == (waiting["id"], "8"), done
    say(f"the request was approved, and the coordinator trained version {done['new_version']}")
    status, answer = call("POST", f"{BRIDGE}/-/reload", user=admin)
    assert status == 200, answer
    say("the reload succeeded")


def main() -> None:
    """Run all checks, with the hosts of compose.yaml on loopback."""
    work = Path(sys.argv[1])
    loopback_up()
    hosts = work / "hosts"
    hosts.write_text("".join(f"127.0.0.1 {name}\n" for name in ("localhost", *COMPOSE)))
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    secret = TOP / "examples/compose/coordinator.secret"
    had_secret = secret.exists()
    image = Image(work, list(COMPOSE))
    try:
        began = time.time()
        own_command(image, work)
        small_and_read_only(image, began)
        no_settings_of_this_machine(image, work)
        bill_of_materials(image)
        compose(image, work)
    finally:
        if not had_secret:
            secret.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
