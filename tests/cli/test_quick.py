"""Start of the commands that run often: what they import, and that quick forms answer as the full ones."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from bridge.cli import quick
from tests.support.receiver import Receiver, Reply

HEAVY = {"numpy", "typer", "rich", "click", "requests", "pydantic", "sqlalchemy", "msgspec"}


def imported(*arguments: str) -> tuple[int, set[str]]:
    """Return the exit code of a command and the packages that it imported."""
    code = (
        "import json, sys\nfrom bridge.cli import main\nsys.argv = json.loads(sys.argv[1])\n"
        "try:\n    main()\nfinally:\n    print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))\n"
    )
    given = json.dumps(["retrain-bridge", *arguments])
    done = subprocess.run([sys.executable, "-c", code, given], capture_output=True, text=True, check=False)
    return done.returncode, set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("arguments", [("version",), ("--version",)])
def test_the_version_needs_the_standard_library_only(arguments: tuple[str, ...]) -> None:
    """It is read by scripts."""
    code, modules = imported(*arguments)
    assert (code, modules & HEAVY) == (0, set())


def test_a_health_check_needs_the_standard_library_only() -> None:
    """It runs every few seconds in each container."""
    with Receiver(Reply(200, b"ready")) as bridge:
        code, modules = imported("healthcheck", f"--bridge.url={bridge.url}/sub/")
        assert (code, modules & HEAVY) == (0, set())
        assert [request.path for request in bridge.requests] == ["/sub/-/ready"]


def test_a_health_check_takes_the_url_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the full command does."""
    with Receiver(Reply(200, b"ready")) as bridge:
        monkeypatch.setenv("RETRAIN_BRIDGE_URL", bridge.url)
        code, modules = imported("healthcheck")
        assert (code, modules & HEAVY) == (0, set())
        assert [request.path for request in bridge.requests] == ["/-/ready"]


def test_help_does_without_numpy_and_rich() -> None:
    """Nor does it need what only one command uses."""
    code, modules = imported("--help")
    assert (code, modules & (HEAVY - {"typer", "click"})) == (0, set())


def test_a_bridge_that_is_not_ready_fails_the_health_check() -> None:
    """The full command reports the reason."""
    with Receiver(Reply(503, b"loading")) as bridge:
        assert quick.run(["healthcheck", "--bridge.url", bridge.url]) is None
        code, _ = imported("healthcheck", f"--bridge.url={bridge.url}")
        assert code == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["run"],
        ["healthcheck", "--help"],
        ["healthcheck", "--bridge.url=https://127.0.0.1:1"],
        ["healthcheck", "--bridge.url=http://user:password@127.0.0.1:1"],
        ["healthcheck", "--bridge.url=http://127.0.0.1:1", "--http.config.file=http.yml"],
    ],
)
def test_every_other_form_is_left_to_the_full_command_line(arguments: list[str]) -> None:
    """Options, TLS and credentials."""
    assert quick.run(arguments) is None
