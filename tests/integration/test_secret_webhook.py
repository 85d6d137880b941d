"""A webhook's URL is a secret: nothing that a bridge writes shows its path, whatever its receiver answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.bridge import REMOTE_WRITE, ROOT, Bridge, bridge, drift_rules, steps, whole_second, write_script
from tests.support.processes import wait_until
from tests.support.receiver import HANG_UP, Raw, Receiver, Reply
from tests.support.servers import Prometheus, http, prometheus

TOKEN, PARAMETER, FIELD = "T0Q8Z7/B0K3/xoxTopSecretPath", "topsecretquery", "topsecretfield"
MODEL = ("shop", "ranking", "7")
PAGES = ("", "rules", "models", "models/shop/ranking/7", "requests", "decisions", "silences", "status", "metrics")
CALLS = ("status/config", "rules", "alerts", "models", "requests", "decisions", "status/deliveries", "openapi.json")


@pytest.fixture(scope="module")
def source() -> Iterator[Prometheus]:
    with prometheus(flags=[REMOTE_WRITE]) as server:
        yield server


def echo(hook: str) -> bytes:
    """An answer that quotes what it was asked, as many servers do."""
    return f"no hook {hook}, not even {TOKEN.rsplit('/', 1)[1]} or ?key={PARAMETER}".encode()


def cli(process: Bridge, *arguments: str) -> str:
    """What a command prints, on both outputs."""
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), str(ROOT)]))
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", *arguments], check=False, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": path}, cwd=process.folder,
    )  # fmt: skip
    return done.stdout + done.stderr


def told(process: Bridge, request_id: str) -> dict[str, str]:
    """All that is written or answered, by place."""
    found = {f"page /{path}": http("GET", f"{process.url}/{path}")[1] for path in (*PAGES, f"requests/{request_id}")}
    found |= {call: http("GET", f"{process.url}/api/v1/{call}")[1] for call in (*CALLS, f"requests/{request_id}")}
    found |= {
        f"{path.name}": path.read_bytes().decode("latin-1")
        for path in (process.folder / "data").rglob("*")
        if path.is_file()
    }
    at = f"--bridge.url={process.url}"
    found["requests list"] = cli(process, "requests", "list", at)
    found["requests show"] = cli(process, "requests", "show", request_id, at)
    found["explain"] = cli(process, "explain", "/".join(MODEL), at)
    found["check"] = cli(process, "check", "config", "bridge.yml")
    found["log"] = process.program.log
    return found


def test_nothing_shows_the_url_of_a_webhook(source: Prometheus) -> None:
    """Log, pages, API, metrics, the store's bytes and the commands: none holds a part of it."""
    hook = f"/services/{TOKEN}?key={PARAMETER}"
    plan = (
        HANG_UP,
        Raw(b"HTTP/1.1 503 X\r\nno header\r\nContent-Length: 0\r\n\r\n"),
        Reply(503, echo(hook)),
        Reply(404, echo(hook)),
    )
    moved = Reply(307, headers={"Location": f"/moved{hook}"})
    with Receiver(*plan) as receiver, Receiver(Reply(400, FIELD.encode())) as token, Receiver(moved) as mover:
        url = f"{receiver.url}{hook}"
        oauth2 = {"client_id": "us", "token_url": token.url, "endpoint_params": {"audience": FIELD}}
        hooks = [
            {"url": url},
            {"url": f"http://127.0.0.1:1{hook}"},
            {"url": url, "http_config": {"oauth2": oauth2}},
            {"url": f"{mover.url}{hook}"},
        ]
        with bridge(source.url, drift_rules(), {"webhook_configs": hooks}, log_level="debug") as process:
            begins = whole_second(1)
            write_script(source, {MODEL: steps(begins, begins + 600_000, [(begins, begins + 600_000)])})
            process.start()
            request_id = wait_until(process.requests, 60, "a request")[0]["id"]
            wait_until(lambda: len(receiver.requests) >= len(plan), 120, "every answer")
            wait_until(lambda: "delivery is dead" in process.program.log, 60, "a dead delivery")
            found = told(process, request_id)
            found["send-test"] = cli(process, "send-test", "--config.file=bridge.yml", "--receiver=team")
            assert FIELD in token.requests[0].body.decode()
            leaks = sorted({
                (place, secret) for place, text in found.items()
                for secret in (*TOKEN.split("/"), PARAMETER, FIELD) if secret in text
            })  # fmt: skip
            assert leaks == []
            assert "team/webhook/3" in found["log"]
            assert "team/webhook/3" in found["send-test"]
            assert "<secret>" in json.loads(found["status/config"])["data"]["yaml"]


@pytest.mark.parametrize(
    "url", ["htps://hooks.test/T0TOPSECRET", "http://me:T0TOPSECRET@hooks.test", "[T0TOPSECRET", "http://[T0TOPSECRET"]
)
def test_an_error_in_a_url_does_not_show_the_url(tmp_path: Path, url: str) -> None:
    """`check` says what is wrong, and where."""
    receivers = [{"name": "team", "webhook_configs": [{"url": url}]}]
    config = {"prometheus": {"url": "http://p:1"}, "route": {"receiver": "team"}, "receivers": receivers}
    file = tmp_path / "bridge.yml"
    file.write_text(json.dumps(config))
    done = subprocess.run(
        [sys.executable, "-m", "bridge.cli", "check", "config", str(file)],
        check=False, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode != 0
    assert "webhook_configs[0].url" in done.stdout + done.stderr
    assert "T0TOPSECRET" not in done.stdout + done.stderr
