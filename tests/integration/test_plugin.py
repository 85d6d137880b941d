"""The strategy of docs/strategies/writing.md, installed as a package of its own: found, checked, and asking."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bridge import (
    AHEAD,
    ROOT,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.keyed import KeyedReceiver
from tests.support.pages import blocks
from tests.support.plugin import cli, installed
from tests.support.processes import wait_until
from tests.support.servers import Prometheus

PAGE = ROOT / "docs" / "strategies" / "writing.md"
SECOND = 1000


def block(language: str) -> str:
    """The page's one block of a language."""
    [text] = blocks(PAGE, language)
    return text


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The page's strategy, installed."""
    return installed(tmp_path, PAGE)


def test_an_installed_strategy_is_listed_with_its_parameters(env: dict[str, str], tmp_path: Path) -> None:
    """The first line of its docstring, and what it needs."""
    done = cli(env, tmp_path, "strategies")
    assert done.returncode == 0, done.stderr
    assert (
        "\ndistance\n"
        "    Strategy that is breached while a value is too far from its target.\n"
        "    parameters: target, most\n"
        "    needs: value\n"
    ) in done.stdout


def test_the_rule_file_of_the_page_is_accepted(env: dict[str, str], tmp_path: Path) -> None:
    """By name, as if it were shipped."""
    (tmp_path / "rules.yml").write_text(block("yaml"))
    done = cli(env, tmp_path, "check", "rules", "rules.yml")
    assert (done.returncode, done.stdout, done.stderr) == (0, "rules.yml: SUCCESS\n", "")


def test_wrong_parameters_of_an_installed_strategy_are_refused_with_their_place(
    env: dict[str, str], tmp_path: Path
) -> None:
    """An unknown key, and a value that its own config model refuses."""
    text = block("yaml").replace("{target: 0.5, most: 0.1}", "{target: 0.5, most: -1, mots: 0.1}")
    (tmp_path / "rules.yml").write_text(text)
    done = cli(env, tmp_path, "check", "rules", "rules.yml")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "rules.yml:8:40: groups[0].rules[0].strategy.distance.most: must be more than 0.0",
        "rules.yml:8:50: groups[0].rules[0].strategy.distance.mots: unknown key 'mots' (did you mean 'most'?)",
        "2 problems found",
    ]


def test_a_bridge_requests_once_because_of_an_installed_strategy(env: dict[str, str], source: Prometheus) -> None:
    """The real process, a real Prometheus, a receiver that honours keys: 0.9 is further than 0.6 from 0.1."""
    model = ("shop", "plugged", "1")
    rules = drift_rules(strategy={"distance": {"target": 0.1, "most": 0.6}})
    with KeyedReceiver() as receiver:
        hooks = {"webhook_configs": [{"url": receiver.url, "send_resolved": False}]}
        with bridge(source.url, rules, hooks, env={"PYTHONPATH": env["PYTHONPATH"]}) as process:
            process.start()
            begins = whole_second(AHEAD)
            write_script(
                source, {model: steps(begins - 5 * SECOND, begins + 600 * SECOND, [(begins, begins + 600_000)])}
            )
            wanted = expected_id(model, "Drifted", begins)
            wait_until(lambda: wanted in receiver.taken, 20, "the request")
            process.wait_slot(begins + 3 * SECOND)
            assert receiver.keys() == [wanted]
            [request] = process.requests()
            assert request["reason"] == "Drifted: drift 0.8 above 0.6"
