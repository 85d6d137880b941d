"""Commands `strategies`, `send-test` and `version`."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import CONFIG, Command
from tests.support.receiver import Receiver


def test_version(command: Command) -> None:
    """The output is one line."""
    assert command("version") == (0, "retrain-bridge 0.1.0\n", "")


def test_strategies_are_listed_with_their_parameters(command: Command) -> None:
    """Name, summary, parameters and columns."""
    code, out, _ = command("strategies")
    assert code == 0
    assert (
        "threshold\n    Strategy that is breached while a value is past its limit.\n    parameters: max, min, clear"
        in out
    )


def test_send_test_prints_the_response_of_each_destination(command: Command, files: Path) -> None:
    """A marked request bypasses the outbox; the exit code is 0 only if all destinations accept it."""
    with Receiver() as receiver:
        (files / "bridge.yml").write_text(CONFIG.format(url=receiver.url))
        code, out, _ = command("send-test", "--receiver=team", f"--config.file={files / 'bridge.yml'}")
        assert (code, out.split(" ")[:2]) == (0, ["team/webhook/0:", "delivered"])
    code, out, _ = command("send-test", "--receiver=team", f"--config.file={files / 'bridge.yml'}")
    assert (code, out.split(" ")[:2]) == (1, ["team/webhook/0:", "retry"])


def test_send_test_suggests_a_receiver_for_a_misspelled_name(command: Command, files: Path) -> None:
    """A typo gets a suggestion."""
    code, _, err = command("send-test", "--receiver=taem", f"--config.file={files / 'bridge.yml'}")
    assert code == 1
    assert "has no receiver 'taem'; did you mean 'team'?" in err
