"""The real process from outside: how it starts, refuses to start, reloads and ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.app import service
from bridge.app.wiring import DELIVERIES_LIMIT
from tests.support.bridge import (
    AHEAD,
    REMOTE_WRITE,
    Bridge,
    bridge,
    drift_rules,
    expected_id,
    steps,
    whole_second,
    write_script,
)
from tests.support.crash import LAUNCHER, launched
from tests.support.keyed import HANG, HANG_UP, TAKE, KeyedReceiver
from tests.support.processes import Program, free_port, wait_until
from tests.support.receiver import Receiver
from tests.support.servers import Prometheus, http, prometheus

SECOND = 1000


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


@pytest.fixture
def webhook() -> Iterator[KeyedReceiver]:
    with KeyedReceiver() as receiver:
        yield receiver


def hooks(receiver: Receiver) -> dict[str, object]:
    return {"webhook_configs": [{"url": receiver.url}]}


def breach(source: Prometheus, model: tuple[str, str, str], lasts: int = 600) -> int:
    begins = whole_second(AHEAD)
    points = steps(begins - 5 * SECOND, begins + (lasts + 30) * SECOND, [(begins, begins + lasts * SECOND)])
    write_script(source, {model: points})
    return begins


def end_leases(process: Bridge) -> None:
    """Change the store of a bridge that has ended: its one delivery is under way, and its lease is over."""
    with contextlib.closing(sqlite3.connect(process.folder / "data" / "retrain-bridge.db")) as store, store:
        assert store.execute("UPDATE deliveries SET next_at = 0 WHERE state = 'leased'").rowcount == 1


def ends_by_itself(program: Program) -> int:
    wait_until(lambda: not program.running, 20, f"the end of {program.name}\n{program.log}")
    assert program.process is not None
    return int(program.process.returncode)


# ---------------------------------------------------------------- ending


def test_the_waits_of_a_stop_add_up_to_less_than_five_seconds() -> None:
    """The web server, deliveries and queries under way: one after the other."""
    assert service.SERVER_LIMIT + DELIVERIES_LIMIT + service.WORKERS_LIMIT < 5


def test_sigterm_ends_it_even_while_a_receiver_hangs(source: Prometheus, tmp_path: Path) -> None:
    """An attempt of an hour is abandoned, and repeated under the same key after the end of its lease."""
    answers = iter([HANG])
    model = ("shop", "hanging", "1")
    env = launched(tmp_path, delivery={"attempt_deadline": 3600_000, "lease": 3601_000})
    with KeyedReceiver(lambda _: next(answers, TAKE)) as receiver:
        hanging = {"webhook_configs": [{"url": receiver.url, "timeout": "3600s"}]}
        with bridge(
            source.url, drift_rules(only="hanging"), hanging, command=LAUNCHER, env=env, measured=True
        ) as process:
            process.start()
            wanted = expected_id(model, "Drifted", breach(source, model))
            wait_until(lambda: receiver.posts, 15, "the post that hangs")
            assert process.program.terminate() == 0
            end_leases(process)
            process.start()
            wait_until(lambda: receiver.taken[wanted], 20, "the repeat")
            assert receiver.keys() == [wanted, wanted]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_signal_ends_with_exit_code_0(source: Prometheus, webhook: KeyedReceiver, number: int) -> None:
    """Idle, it is gone at once, and the store is free for the next one."""
    with bridge(source.url, drift_rules(), hooks(webhook), measured=True) as process:
        process.start()
        process.program.signal(number)
        assert process.wait_dead(5) == 0
        process.start()


# ---------------------------------------------------------------- not starting


def test_a_second_process_on_the_same_store_names_the_first_and_exits_1(
    source: Prometheus, webhook: KeyedReceiver
) -> None:
    """Two bridges on one file would settle each other's deliveries. The first goes on as if nothing had been."""
    with bridge(source.url, drift_rules(), hooks(webhook), measured=True) as process:
        process.start()
        second = process.another(f"127.0.0.1:{free_port()}", "second")
        second.start()
        assert ends_by_itself(second) == 1
        database = process.folder / "data" / "retrain-bridge.db"
        assert second.log == (
            f"retrain-bridge: {database} is in use by process {process.program.pid}; "
            "stop it, or use another --storage.path\n"
        )
        assert process.ready()


def test_a_busy_port_is_a_clear_error_and_exit_1(source: Prometheus, webhook: KeyedReceiver) -> None:
    """Before any other work: the store is not opened."""
    with bridge(source.url, drift_rules(), hooks(webhook), measured=True) as process, socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        refused = process.another(address, "refused")
        refused.start()
        assert ends_by_itself(refused) == 1
        assert refused.log == f"retrain-bridge: cannot listen on {address}: Address already in use\n"
        assert not (process.folder / "data").exists()
        process.start()


def test_two_bridges_on_one_port_are_refused_even_with_stores_of_their_own(
    source: Prometheus, webhook: KeyedReceiver
) -> None:
    """A second bridge must not share the port silently with the first."""
    with (
        bridge(source.url, drift_rules(), hooks(webhook)) as first,
        bridge(source.url, drift_rules(), hooks(webhook), measured=True) as second,
    ):
        first.start()
        program = second.another(first.listen, "late")
        program.start()
        assert ends_by_itself(program) == 1
        assert f"cannot listen on {first.listen}: Address already in use" in program.log


# ---------------------------------------------------------------- reloading


def broken(process: Bridge) -> None:
    """A rule file with an unknown strategy."""
    rules = drift_rules()
    rules["groups"][0]["rules"][0]["strategy"] = {"treshold": {"max": 0.6}}
    (process.folder / "rules.yml").write_text(json.dumps(rules))


def test_a_failed_reload_has_a_reason_and_keeps_the_old_rules(source: Prometheus, webhook: KeyedReceiver) -> None:
    """POST /-/reload answers with the problem; the metric says so; the old rules are evaluated on."""
    with bridge(source.url, drift_rules(), hooks(webhook)) as process:
        process.start()
        broken(process)
        status, text = http("POST", f"{process.url}/-/reload")
        assert status >= 400
        assert "rules.yml" in text
        assert 'did you mean "threshold"' in text.replace("'", '"').replace('\\"', '"')
        assert process.metric("retrain_bridge_config_last_reload_successful") == 0
        process.wait_slot(whole_second(1))
        assert process.rule()["health"] == "ok"


def test_sighup_with_a_broken_file_keeps_the_old_rules_and_logs_why(source: Prometheus, webhook: KeyedReceiver) -> None:
    """And with a good one it puts the new rules in force, with nothing lost of what is going on."""
    with bridge(source.url, drift_rules(), hooks(webhook)) as process:
        process.start()
        model = ("shop", "reloaded", "1")
        wanted = expected_id(model, "Drifted", breach(source, model))
        wait_until(lambda: wanted in webhook.taken, 15, "the request")
        broken(process)
        process.program.signal(signal.SIGHUP)
        wait_until(lambda: "configuration was not reloaded" in process.program.log, 10, "the refusal")
        assert "treshold" in process.program.log
        assert process.rule()["state"] == "firing"
        (process.folder / "rules.yml").write_text(json.dumps(drift_rules(annotations={"summary": "new"})))
        os.kill(process.program.pid, signal.SIGHUP)
        wait_until(lambda: process.rule()["annotations"] == {"summary": "new"}, 10, "the new rules")
        process.wait_slot(whole_second(1))
        assert process.rule()["state"] == "firing"
        assert [item["id"] for item in process.requests() if item["pipeline"] == "reloaded"] == [wanted]
        assert process.metric("retrain_bridge_config_last_reload_successful") == 1


def test_changed_rule_file_is_reloaded_without_a_signal(source: Prometheus, webhook: KeyedReceiver) -> None:
    """With --config.auto-reload-interval; a broken file is reported once and keeps the rules in force."""
    flags = ["--config.auto-reload-interval=1s"]
    with bridge(source.url, drift_rules(), hooks(webhook), flags=flags) as process:
        process.start()
        (process.folder / "rules.yml").write_text(json.dumps(drift_rules(annotations={"summary": "new"})))
        wait_until(lambda: process.rule()["annotations"] == {"summary": "new"}, 15, "the new rules")
        assert process.metric("retrain_bridge_config_last_reload_successful") == 1
        broken(process)
        wait_until(lambda: "configuration was not reloaded" in process.program.log, 15, "the refusal")
        assert process.rule()["annotations"] == {"summary": "new"}
        process.wait_slot(whole_second(3))
        assert process.program.log.count("configuration was not reloaded") == 1


def test_what_waits_for_a_receiver_that_was_taken_out_is_reported(source: Prometheus) -> None:
    """Nothing is thrown away: it goes out when the receiver is put back."""
    with KeyedReceiver(lambda _: HANG_UP) as down, bridge(source.url, drift_rules(), hooks(down)) as process:
        process.start()
        model = ("shop", "taken-out", "1")
        wanted = expected_id(model, "Drifted", breach(source, model))
        wait_until(lambda: any(item["id"] == wanted for item in process.requests()), 15, "the request")
        file = process.folder / "bridge.yml"
        kept = file.read_text()
        config = json.loads(kept)
        config["receivers"][0] = {"name": config["receivers"][0]["name"], "log_configs": [{}]}
        file.write_text(json.dumps(config))
        assert http("POST", f"{process.url}/-/reload")[0] == 200
        assert "deliveries wait for a destination that is not configured any more" in process.program.log
        file.write_text(kept)
        down.choose = lambda _: TAKE
        assert http("POST", f"{process.url}/-/reload")[0] == 200
        wait_until(lambda: down.taken[wanted], 40, "the delivery")


def test_what_waits_for_a_receiver_that_was_taken_out_can_be_discarded(source: Prometheus) -> None:
    """The request explains it, and a second call changes nothing."""
    with KeyedReceiver(lambda _: HANG_UP) as down, bridge(source.url, drift_rules(), hooks(down)) as process:
        process.start()
        model = ("shop", "discarded", "1")
        wanted = expected_id(model, "Drifted", breach(source, model))
        wait_until(lambda: any(item["id"] == wanted for item in process.requests()), 15, "the request")
        file = process.folder / "bridge.yml"
        config = json.loads(file.read_text())
        name = config["receivers"][0]["name"]
        config["receivers"][0] = {"name": name, "log_configs": [{}]}
        file.write_text(json.dumps(config))
        assert http("POST", f"{process.url}/-/reload")[0] == 200

        def discarded() -> dict[str, Any]:
            body = {"receiver": name, "by": "ada"}
            status, text = http("POST", f"{process.url}/api/v1/deliveries/discard", body)
            assert status == 200, text
            return next(item for item in process.requests() if item["id"] == wanted)

        wait_until(lambda: discarded()["state"] == "undelivered", 60, "the end of the attempt, and the discard")
        assert [(act["what"], act["who"]) for act in discarded()["acts"]] == [("discard", "ada")]


# ---------------------------------------------------------------- telling the end


def test_the_end_of_an_episode_is_sent_at_once(source: Prometheus, webhook: KeyedReceiver) -> None:
    """As the beginning is: not whenever the queue happens to be looked at again."""
    model = ("shop", "ending", "1")
    with bridge(source.url, drift_rules(), hooks(webhook)) as process:
        process.start()
        begins = breach(source, model, lasts=10)
        key = f"{expected_id(model, 'Drifted', begins)}-resolved"
        process.wait_slot(begins + 10 * SECOND)
        wait_until(lambda: webhook.taken[key], 3, "the end of the episode")
