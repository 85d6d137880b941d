"""Ctrl-C while a command waits for a server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

ANSWER = b'{"status":"success","data":{"resultType":"vector","result":[]}}'
RULES = "groups: [{name: g, interval: 1m, rules: [{retrain: High, expr: drift > 1}]}]"


def test_a_command_ends_although_a_query_would_wait_for_an_hour(tmp_path: Path) -> None:
    """Another thread waits for the answer; the exit does not wait for that thread."""
    (tmp_path / "rules.yml").write_text(RULES)
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        (tmp_path / "bridge.yml").write_text(
            f"global: {{query_timeout: 1h}}\nprometheus: {{url: '{url}'}}\nrule_files: [rules.yml]\n"
            "route: {receiver: r}\nreceivers: [{name: r}]\n"
        )
        asked = threading.Event()
        threading.Thread(target=_serve, args=(server, asked), daemon=True).start()
        command = [sys.executable, "-m", "bridge.cli", "backtest", "--config.file=bridge.yml", "--from=now-2h"]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE) as process:
            assert asked.wait(60)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in err


def test_a_signal_that_arrives_inside_a_finaliser_is_not_lost(tmp_path: Path) -> None:
    """Python prints what a finaliser raises, and drops it."""
    script = tmp_path / "command.py"
    script.write_text(
        "import signal, threading\n"
        "import typer\n"
        "from bridge.cli import commands\n"
        "class Finalised:\n"
        "    def __del__(self):\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "app = typer.Typer()\n"
        "@app.command()\n"
        "def main():\n"
        "    Finalised()\n"
        "    threading.Event().wait(60)\n"
        "commands.app = app\n"
        "commands.run()\n"
    )
    done = subprocess.run([sys.executable, script], stderr=subprocess.PIPE, check=False, timeout=120)
    assert done.returncode == 130
    assert b"Traceback" not in done.stderr


def _serve(server: socket.socket, asked: threading.Event) -> None:
    """Answer the first request, and no other. asked: set by the second one."""
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER))
        connection.recv(65536)
        asked.set()
        connection.recv(65536)
