"""scripts/demo, as a newcomer runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import Program, kept_for_the_test, wait_until
from tests.support.servers import http

DEMO = Path(__file__).parents[2] / "scripts" / "demo"


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """Where the demo makes its folder."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def demo(tmp_path: Path, temporary: Path, request: pytest.FixtureRequest) -> Iterator[Program]:
    """A started demo, which ends by itself unless a parameter says otherwise."""
    folder = tmp_path / "demo"
    folder.mkdir()
    env = {**os.environ, "DEMO_PYTHON": sys.executable, "TMPDIR": str(temporary)}
    words = getattr(request, "param", ("--once",))
    with kept_for_the_test(Program([str(DEMO), *words], folder, "demo", env)) as program:
        program.start()
        yield program


@contextlib.contextmanager
def telling(demo: Program) -> Iterator[None]:
    """A failure shows how far the demo came."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\n{demo.log}") from None


def left_behind(folder: Path) -> list[str]:
    """Files of the demo, and processes that work in its folder."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*/cwd"):
        try:
            if process.readlink().is_relative_to(folder):
                found.append(str(process))
        except OSError:
            continue
    return found


def test_one_request_reaches_the_coordinator_and_alertmanager_under_one_id(demo: Program, temporary: Path) -> None:
    """Within its 60 seconds, past a busy coordinator; the way there is told, and nothing is left behind."""
    assert demo.process is not None
    assert demo.process.wait(300) == 0, demo.log
    for told in (
        " above 0.6, must last for 10s",
        "503, Retry-After: 2",
        "to team/coordinator/0, attempt 2 (HTTP 202)",
        "to team/alertmanager/0, attempt 1 (HTTP 200)",
        "succeeded, new version 8",
        "exactly one request reached both receivers under one id",
    ):
        assert told in demo.log, demo.log
    assert left_behind(temporary) == []


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_stopped_in_the_middle_it_leaves_nothing_behind(demo: Program, temporary: Path, number: int, code: int) -> None:
    """Ctrl-C and SIGTERM: servers stopped, files removed."""
    with telling(demo):
        wait_until(lambda: "see also" in demo.log, 60, "the servers run")
        (folder,) = temporary.glob("retrain-bridge-demo-*")
        assert f"bridge.yml, rules and logs are in {folder}, which" in demo.log
        named = re.search(r"export (RETRAIN_BRIDGE_URL)=(http://\S+); (\S+) models list", demo.log)
        assert named
        env = {**os.environ, named[1]: named[2]}
        listed = subprocess.run([named[3], "models", "list"], env=env, capture_output=True, text=True, check=False)
        assert listed.returncode == 0, listed.stderr
    assert len(left_behind(temporary)) > 4
    demo.signal(number)
    assert demo.process is not None
    assert demo.process.wait(300) == code, demo.log
    assert left_behind(temporary) == []


@pytest.mark.parametrize("demo", [()], indirect=True)
def test_left_to_itself_it_ends_green_and_quiet(demo: Program, temporary: Path) -> None:
    """Every model is healthy, nothing waits, and the page says so."""
    with telling(demo):
        wait_until(lambda: "all healthy again" in demo.log, 240, "all models are healthy")
        found = re.search(r"open +(http://\S+)/ in a browser", demo.log)
        assert found
        models = json.loads(http("GET", f"{found[1]}/api/v1/models")[1])["data"]["models"]
        served = {(item["pipeline"], item["version"]) for item in models}
        # The version that was replaced may remain while the window of its last errors lasts.
        assert served - {("ranking", "7")} == {("ranking", "8"), ("search", "2"), ("scoring", "12")}
        assert {item["state"] for item in models} <= {"healthy", "cooldown", "replaced"}
        page = http("GET", f"{found[1]}/")[1]
    assert "No pending or dead deliveries" in page
    for text in ("badge", 'class="state degraded"', "cannot be evaluated"):
        assert text not in page
    demo.signal(signal.SIGINT)
    assert demo.process is not None
    assert demo.process.wait(300) == 130, demo.log
    assert left_behind(temporary) == []
