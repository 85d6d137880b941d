"""Clients that begin and never finish, against the real bridge and the real coordinator with 1,024 descriptors."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.attack import DESCRIPTORS, LIMITED, NO_HANDSHAKE, UNFINISHED_BODY, UNFINISHED_HEAD, attacked
from tests.support.bridge import REMOTE_WRITE, bridge, drift_rules, steps, whole_second, write_script
from tests.support.coordinator import process
from tests.support.keyed import KeyedReceiver
from tests.support.processes import PATIENCE, wait_until
from tests.support.servers import http, prometheus

MODEL = ("shop", "ranking", "7")
LIMIT = PATIENCE  # seconds, for each thing that has to go on: the clients never give up


def descriptors(pid: int) -> int:
    return sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())


def seconds(action: object, what: str) -> float:
    """How long it takes until `action` returns something true."""
    began = time.monotonic()
    wait_until(action, 60, what)  # type: ignore[arg-type]
    return time.monotonic() - began


@pytest.mark.parametrize("openings", [(UNFINISHED_HEAD,), (b"", UNFINISHED_HEAD, UNFINISHED_BODY, NO_HANDSHAKE)])
def test_a_bridge_continues_while_1200_clients_never_finish(openings: Sequence[bytes]) -> None:
    """It answers, asks for the breached model, delivers, stays small in its log and ends when told to."""
    command = (*LIMITED, sys.executable, "-m", "bridge.cli")
    with prometheus(flags=[REMOTE_WRITE]) as source, KeyedReceiver() as receiver:
        url = f"{receiver.url}/hook"
        with bridge(source.url, drift_rules(), {"webhook_configs": [{"url": url}]}, command=command) as attacked_one:
            attacked_one.start()
            quiet = len(attacked_one.program.log)
            with attacked(int(attacked_one.url.rpartition(":")[2]), openings) as attack:
                wait_until(lambda: attack.opened >= 1200, 60, "1,200 connections")
                most = descriptors(attacked_one.program.pid)
                begins = whole_second()
                write_script(source, {MODEL: steps(begins, begins + 600_000, [(begins, begins + 600_000)])})
                delivery = seconds(lambda: receiver.taken, "the delivery")
                healthy = seconds(lambda: http("GET", f"{attacked_one.url}/-/healthy")[0] == 200, "health")
                asked = seconds(attacked_one.requests, "the request in the API")
                most = max(most, descriptors(attacked_one.program.pid))
                grown = len(attacked_one.program.log) - quiet
                began = time.monotonic()
                assert attacked_one.program.terminate(60) == 0
                ended = time.monotonic() - began
            print(
                f"{attack.opened} connections: delivered in {delivery:.1f} s, healthy in {healthy:.2f} s, API in "
                f"{asked:.2f} s, {most} descriptors at most, log +{grown} bytes, SIGTERM {ended:.1f} s"
            )
    assert max(delivery, healthy, asked, ended) < LIMIT
    assert most < DESCRIPTORS * 3 // 4
    assert grown < 20_000
    assert "Too many open files" not in attacked_one.program.log


def test_a_coordinator_continues_while_1200_clients_never_finish(tmp_path: Path) -> None:
    """It answers, takes a request, runs its command and ends when told to."""
    with process(tmp_path / "c", command=["true"], prefix=LIMITED) as coordinator:
        with attacked(int(coordinator.client.url.rpartition(":")[2]), (UNFINISHED_HEAD, UNFINISHED_BODY)) as attack:
            wait_until(lambda: attack.opened >= 1200, 60, "1,200 connections")
            healthy = seconds(lambda: http("GET", f"{coordinator.client.url}/-/healthy")[0] == 200, "health")
            began = time.monotonic()
            assert coordinator.client.submit().status_code == 202
            coordinator.client.wait_for("succeeded")
            run = time.monotonic() - began
            most = descriptors(coordinator.popen.pid)
            began = time.monotonic()
            coordinator.popen.terminate()
            assert coordinator.popen.wait(300) == 0
            ended = time.monotonic() - began
        size = coordinator.log.stat().st_size
    print(
        f"{attack.opened} connections: healthy in {healthy:.2f} s, request run in {run:.1f} s, {most} descriptors, "
        f"log {size} bytes, SIGTERM {ended:.1f} s"
    )
    assert max(healthy, run, ended) < LIMIT
    assert most < DESCRIPTORS * 3 // 4
    assert size < 20_000
