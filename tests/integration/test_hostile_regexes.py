"""Regular expressions that take a backtracking engine centuries, against the real process.

While one is tried, the bridge answers, asks for what is breached, and ends when it is told to.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from urllib.parse import quote

import pytest

from tests.support.bridge import REMOTE_WRITE, Bridge, bridge, drift_rules, steps, whole_second, write_script
from tests.support.keyed import KeyedReceiver
from tests.support.processes import wait_until
from tests.support.servers import Alertmanager, Prometheus, alertmanager, http, prometheus

SECOND = 1000
MODEL = ("shop", "ranking", "7")
TEAM = "a" * 60  # what the regular expressions are matched with
HARD = ("((.+)+)+z", "(a+)+b", "(a|aa)+b", "(a|a)*b", "([a-z]+)*!")
GENEROUS = 90.0  # of the limits of 10 s that a person would set: this machine may be busy


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[KeyedReceiver]:
    with KeyedReceiver() as receiver:
        yield receiver


@contextlib.contextmanager
def asking(process: Bridge) -> Iterator[list[int]]:
    """Selectors for the API, one after the other from four threads; the statuses of the answers."""
    over, answers = threading.Event(), list[int]()

    def ask(which: int) -> None:
        while not over.is_set():
            selector = quote(f'{{team=~"{HARD[which % len(HARD)]}"}}')
            answers.append(http("GET", f"{process.url}/api/v1/rules?match[]={selector}", timeout=GENEROUS)[0])
            which += 1

    threads = [threading.Thread(target=ask, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        over.set()
        for thread in threads:
            thread.join(GENEROUS)


def silence(server: Alertmanager, regex: str, *more: str) -> None:
    """Make a silence with Alertmanager's own tool."""
    command = ["amtool", f"--alertmanager.url={server.url}", "silence", "add", "--comment=x", "--author=x"]
    command += [f'team=~"{regex}"', *more]
    subprocess.run(command, check=True, capture_output=True, env={"HOME": str(server.folder)})


def route(process: Bridge) -> None:
    """A route for each of them in the configuration."""
    config = json.loads(process.config_file.read_text())
    config["route"]["routes"] = [{"matchers": [f'team=~"{regex}"'], "receiver": "team"} for regex in HARD]
    process.config_file.write_text(json.dumps(config))


def breach(source: Prometheus, model: tuple[str, str, str]) -> None:
    """The model is breached for ten minutes, beginning now."""
    begins = whole_second(1)
    write_script(source, {model: steps(begins - 5 * SECOND, begins + 600 * SECOND, [(begins, begins + 600 * SECOND)])})


def healthy(process: Bridge) -> float:
    """Seconds until /-/healthy answers."""
    began = time.monotonic()
    assert http("GET", f"{process.url}/-/healthy", timeout=GENEROUS)[0] == 200, process.program.log[-2000:]
    return time.monotonic() - began


def goes_on(process: Bridge, webhook: KeyedReceiver, attack: str) -> None:
    """Print how long it took to answer, to ask and to end."""
    began = time.monotonic()
    answered = healthy(process)
    wait_until(webhook.keys, GENEROUS, f"the request\n{process.program.log[-2000:]}")
    asked = time.monotonic() - began
    answered = max(answered, healthy(process))
    began = time.monotonic()
    assert process.program.terminate(GENEROUS) == 0
    ended = time.monotonic() - began
    print(f"{attack}: /-/healthy {answered:.2f} s, request {asked:.2f} s, end {ended:.2f} s")


def test_selectors_of_the_api_stop_nothing(source: Prometheus, webhook: KeyedReceiver) -> None:
    """Anybody may send one."""
    rules = drift_rules(labels={"team": TEAM})
    with bridge(source.url, rules, {"webhook_configs": [{"url": webhook.url}]}) as process:
        process.start()
        with asking(process) as answers:
            breach(source, MODEL)
            wait_until(lambda: len(answers) >= len(HARD), GENEROUS, "answers to the selectors")
            goes_on(process, webhook, "selectors")
        assert set(answers) <= {0, 200}
        print(f"{answers.count(200)} selectors were answered meanwhile")
        assert answers[0] == 200


def test_silences_stop_nothing(source: Prometheus, webhook: KeyedReceiver) -> None:
    """They cover nothing here, and that is known."""
    rules = drift_rules(labels={"team": TEAM}, only="silenced")
    with alertmanager() as server:
        for regex in HARD:
            silence(server, regex)
        receivers = {"webhook_configs": [{"url": webhook.url}], "alertmanager_configs": [{"url": server.url}]}
        with bridge(source.url, rules, receivers) as process:
            process.start()
            wait_until(process.ready, GENEROUS, "ready")
            breach(source, ("shop", "silenced", "7"))
            wait_until(lambda: len(process.api("silences")["silences"]) == len(HARD), GENEROUS, "all silences")
            assert process.metric("retrain_bridge_silences_unclear ") == 0
            goes_on(process, webhook, "silences")


def test_routes_stop_nothing(source: Prometheus, webhook: KeyedReceiver) -> None:
    """The configuration comes from several people."""
    rules = drift_rules(labels={"team": TEAM}, only="routed")
    with bridge(source.url, rules, {"webhook_configs": [{"url": webhook.url}]}) as process:
        route(process)
        process.start()
        breach(source, ("shop", "routed", "7"))
        goes_on(process, webhook, "routes")


def test_a_silence_that_is_too_large_for_us_holds_what_it_may_cover(source: Prometheus, webhook: KeyedReceiver) -> None:
    """Alertmanager takes it; a request of another project goes."""
    rules = drift_rules(labels={"team": TEAM}, only="unclear")
    with alertmanager() as server:
        silence(server, r"\\pL{1000}", "project=shop")
        receivers = {"webhook_configs": [{"url": webhook.url}], "alertmanager_configs": [{"url": server.url}]}
        with bridge(source.url, rules, receivers) as process:
            process.start()
            breach(source, ("shop", "unclear", "7"))
            breach(source, ("search", "unclear", "7"))
            wait_until(webhook.keys, GENEROUS, f"the request\n{process.program.log[-2000:]}")
            wait_until(lambda: len(process.requests()) == 2, GENEROUS, "both requests")
            found = {item["project"]: (item["state"], item["hold"]) for item in process.requests()}
            assert found["shop"] == ("held", "silences_unknown")
            assert found["search"][1] is None
            assert process.metric("retrain_bridge_silences_unclear ") == 1
            told = process.api("explain?project=shop&pipeline=unclear&version=7")["explanations"][0]["answer"]
            assert "pL{1000}" in told
            assert "it is too large" in told
