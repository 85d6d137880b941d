"""The coordinator process: start, stop and errors; inside the test's process and as a separate one."""

from __future__ import annotations

import logging
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from bridge.coordinator import __main__, server, service
from bridge.coordinator.config import CoordinatorConfig
from bridge.coordinator.ledger import Ledger
from bridge.coordinator.records import Origin, Submission
from bridge.domain.errors import StoreError
from bridge.net import http_server
from bridge.net.listener import address_of
from tests.support.coordinator import ID, NOON, Client, listening_bridge, process
from tests.support.processes import free_port, wait_until


@contextmanager
def acting(action: Any) -> Iterator[list[BaseException]]:
    """Run `action` in a thread while the test's main thread serves; its errors are the list."""
    errors: list[BaseException] = []

    def act() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - shown by the test
            errors.append(error)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=act)
    thread.start()
    yield errors
    thread.join()


def test_it_serves_until_sigterm(tmp_path: Path) -> None:
    port = free_port()

    def act() -> None:
        wait_until(lambda: _ready(f"http://127.0.0.1:{port}"), 10, "readiness")

    before = signal.getsignal(signal.SIGTERM)
    with acting(act) as errors:
        config = CoordinatorConfig.model_validate({"storage": tmp_path, "listen": f"127.0.0.1:{port}"})
        assert server.run(config) == 0
    assert errors == []
    assert signal.getsignal(signal.SIGTERM) == before


def _ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/-/ready", timeout=2).status_code == 200
    except requests.RequestException:
        return False


def test_old_requests_are_removed_while_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their logs, and a ledger that fails meanwhile does not end the process."""
    monkeypatch.setattr(server, "_HOUSEKEEPING_SECONDS", 0.05)
    real, calls = service.Coordinator.prune, []

    def prune(coordinator: service.Coordinator) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise StoreError("the ledger: database is locked")
        real(coordinator)

    monkeypatch.setattr(service.Coordinator, "prune", prune)
    port = free_port()

    def act() -> None:
        wait_until(lambda: _ready(f"http://127.0.0.1:{port}"), 10, "readiness")
        with Client(f"http://127.0.0.1:{port}") as client:
            client.submit()
            wait_until(lambda: client.call("GET", f"/api/v1/retrain-requests/{ID}").status_code == 404, 10, "removal")
        wait_until(lambda: not list((tmp_path / "runs").iterdir()), 5, "the log's removal")

    with acting(act) as errors:
        values = {"storage": tmp_path, "listen": f"127.0.0.1:{port}", "retention": "1ms", "command": ["true"]}
        assert server.run(CoordinatorConfig.model_validate(values)) == 0
    assert errors == []


def test_an_address_in_use_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert server.run(CoordinatorConfig.model_validate({"storage": tmp_path, "listen": address})) == 1
    [record] = caplog.records
    assert (record.message, vars(record)["address"]) == ("cannot listen", address)


@pytest.mark.parametrize("name", ["file", "file/data"])
def test_an_unusable_storage_is_reported(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    config = CoordinatorConfig.model_validate({"storage": tmp_path / name, "listen": "127.0.0.1:0"})
    assert server.run(config) == 1
    [record] = caplog.records
    assert record.message == "cannot use the storage"
    assert vars(record)["error"] == f"{tmp_path}/{name} is not a directory; correct the key storage, or --storage.path"


def test_an_unusable_client_certificate_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls = {"tls_config": {"ca_file": str(tmp_path / "absent.pem")}}
    values = {"storage": tmp_path, "listen": "127.0.0.1:0", "bridge_url": "https://b", "bridge_http_config": tls}
    assert server.run(CoordinatorConfig.model_validate(values)) == 1
    [record] = caplog.records
    assert record.message == "cannot use bridge_http_config"
    assert "absent.pem" in vars(record)["error"]


def test_an_unusable_server_certificate_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Before anything is served."""
    tls = {"cert_file": tmp_path / "wrong.pem", "key_file": tmp_path / "wrong.key"}
    for file in tls.values():
        file.write_text("neither a certificate nor a key\n")
    values = {"storage": tmp_path, "listen": "127.0.0.1:0", "tls": tls}
    assert server.run(CoordinatorConfig.model_validate(values)) == 1
    [record] = caplog.records
    assert record.message == "cannot use the TLS certificate and key"


def test_an_http_server_that_ends_by_itself_ends_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreachable coordinator exits, so that its supervisor restarts it."""

    def broken(*_: object, **__: object) -> None:
        raise OSError("no more descriptors")

    monkeypatch.setattr(http_server.BoundedServer, "serve_listener", broken)
    assert server.run(CoordinatorConfig.model_validate({"storage": tmp_path, "listen": "127.0.0.1:0"})) == 1
    assert "the HTTP server failed" in [record.message for record in caplog.records]


def test_it_listens_on_both_families_and_reports_it(tmp_path: Path) -> None:
    with server._listen(":0") as listener:
        assert address_of(listener).startswith("[::]:")
    with server._listen("[::1]:0") as listener:
        assert address_of(listener).startswith("[::1]:")


def test_it_serves_https(tmp_path: Path) -> None:
    command = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    command += " -addext subjectAltName=IP:127.0.0.1"
    subprocess.run(command.split(), cwd=tmp_path, check=True, capture_output=True)
    with process(tmp_path, tls={"cert_file": "cert.pem", "key_file": "key.pem"}) as coordinator:
        port = int(coordinator.client.url.rpartition(":")[2])
        context = ssl.create_default_context(cafile=str(tmp_path / "cert.pem"))
        with (
            socket.create_connection(("127.0.0.1", port), timeout=60) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as secure,
        ):
            secure.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert secure.recv(4096).startswith(b"HTTP/1.1 200 OK")


def test_what_ran_before_is_lost_at_the_start(tmp_path: Path) -> None:
    """Counted, so that an alert can be set on it."""
    config = CoordinatorConfig.model_validate({"storage": tmp_path / "data"})
    (tmp_path / "data").mkdir()
    ledger = Ledger(tmp_path / "data" / "ledger.sqlite", reports=False)
    ledger.accept(Submission(ID, "shop", "churn", "3", "drift", "{}", Origin.API), NOON, runnable=True)
    ledger.start_next((), NOON)
    ledger.close()
    coordinator = service.Coordinator(config, lambda: NOON + 2000)
    coordinator.start()
    found = coordinator.get(ID)
    text = coordinator.metrics.render().decode()
    coordinator.stop()
    assert found is not None
    assert (found.state, found.ended_at) == ("lost", NOON + 2000)
    assert 'retrain_bridge_coordinator_runs_total{state="lost"} 1.0' in text
    assert "retrain_bridge_coordinator_run_duration_seconds_sum 2.0" in text


# ---------------------------------------------------------------- the command


def test_flags_override_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[CoordinatorConfig] = []

    def run(config: CoordinatorConfig) -> int:
        seen.append(config)
        return 0

    monkeypatch.setattr(__main__, "run", run)
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    file = tmp_path / "coordinator.yml"
    file.write_text("listen: 127.0.0.1:1\nmax_parallel: 2\n")
    flags = ["--config.file", str(file), "--web.listen-address", "127.0.0.1:2", "--storage.path", str(tmp_path)]
    assert __main__.main([*flags, "--bridge.url", "http://b", "--command", "sh", "-c", "exit 0"]) == 0
    [config] = seen
    assert (config.listen, config.max_parallel, config.storage) == ("127.0.0.1:2", 2, tmp_path)
    assert (config.bridge_url, config.command) == ("http://b", ("sh", "-c", "exit 0"))


def test_a_wrong_configuration_is_reported_and_nothing_starts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
    assert __main__.main(["--web.listen-address", "0.0.0.0:1"]) == 1
    assert capsys.readouterr().err.startswith("flags: listen: 0.0.0.0:1 is reachable from other machines")


def test_fields_of_a_log_line_are_shown() -> None:
    record = logging.makeLogRecord({"msg": "run ended", "state": "lost\nx"})
    assert __main__._Formatter("%(message)s").format(record) == r"run ended state='lost\nx'"


def test_the_module_runs_by_itself() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bridge.coordinator", "--help"], capture_output=True, text=True, check=True
    )
    assert "--web.listen-address" in done.stdout


def test_the_waits_of_a_stop_add_up_to_less_than_five_seconds() -> None:
    """Runs, a report under way, answers under way: one after the other."""
    assert service.STOP_LIMIT + service.REPORT_LIMIT + http_server.GRACE < 5


def test_sigterm_ends_everything(tmp_path: Path) -> None:
    """A run that ignores SIGTERM, an open call and a bridge that does not answer: each alone would last for ever."""
    script = f"trap '' TERM; echo $$ > {tmp_path}/pid; while :; do sleep 60; done"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        bridge_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with process(tmp_path / "c", measured=True, command=["sh", "-c", script], bridge_url=bridge_url) as coordinator:
            coordinator.client.submit()
            wait_until(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text(), 10, "the run")
            port = int(coordinator.client.url.rpartition(":")[2])
            with socket.create_connection(("127.0.0.1", port)) as open_call:
                open_call.sendall(b"POST /api/v1/retrain-requests HTTP/1.1\r\n")
                coordinator.popen.terminate()
                assert coordinator.popen.wait(300) == 0
    pid = int((tmp_path / "pid").read_text())
    wait_until(lambda: not Path(f"/proc/{pid}").exists(), 5, "the run's end")
    with process(tmp_path / "c") as coordinator:
        assert coordinator.client.get()["state"] == "lost"


def test_a_report_that_was_not_sent_is_sent_after_the_next_start(tmp_path: Path) -> None:
    with process(tmp_path / "c", measured=True, bridge_url=f"http://127.0.0.1:{free_port()}") as coordinator:
        coordinator.client.submit()
        coordinator.popen.terminate()
        assert coordinator.popen.wait(300) == 0
    with listening_bridge() as bridge, process(tmp_path / "c", bridge_url=bridge.url):
        wait_until(lambda: bridge.states() == ["accepted"], 10, "the report")


def test_two_coordinators_do_not_share_a_ledger(tmp_path: Path) -> None:
    """The second would mark the runs of the first as lost."""
    with process(tmp_path / "c"):
        command = [sys.executable, "-m", "bridge.coordinator", "--web.listen-address", "127.0.0.1:0"]
        done = subprocess.run(
            [*command, "--storage.path", str(tmp_path / "c" / "data")], capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "another coordinator uses" in done.stderr
