"""Run of docs/quickstart.md word for word on a disposable system, as root, for scripts/test-quickstart.

A new user gets a copy of the project and runs the commands of the page; root runs those marked "as root". The
installation uses the network; everything after it has its own loopback, because the page uses fixed ports.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(TOP))
from tests.support.pages import fences  # noqa: E402 - requires the path above

USER = "quickstart"
HOME = Path("/home") / USER
LIMIT = 300.0
END = "quickstart-command-ended"
# Condition to wait for after each command, by its start: URL, and a text that the answer contains.
SHOWS = {
    "python3 models.py": ("http://127.0.0.1:8000/metrics", "model_drift_score"),
    "prometheus ": ("http://127.0.0.1:9090/api/v1/query?query=model_drift_score", "ranking"),
    "retrain-bridge coordinator": ("http://127.0.0.1:8090/-/ready", ""),
    "retrain-bridge run": ("http://127.0.0.1:9095/-/ready", ""),
}
FIRST_REQUEST = ("http://127.0.0.1:9095/api/v1/requests", '"succeeded"')


def until_shown(url: str, text: str) -> None:
    """Wait until a local server answers 200 with a text; raises SystemExit after LIMIT seconds."""
    deadline = time.monotonic() + LIMIT
    while not shows(url, text):
        if time.monotonic() > deadline:
            logs = "".join(f"---- {log.name}\n{log.read_text()[-3000:]}\n" for log in sorted(HOME.glob("*.log")))
            sys.exit(f"{logs}error: {url} did not answer {text or '200'} within {LIMIT:g} s")
        time.sleep(0.2)


def shows(url: str, text: str) -> bool:
    """Return whether a server answers 200 with a text."""
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.status == 200 and text in answer.read().decode()
    except OSError:
        return False


class Shell:
    """Shell of a user that runs one command after the other, as in a terminal."""

    def __init__(self, folder: str, environment: dict[str, str], user: str = USER) -> None:
        account = [] if user == "root" else ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "--"]
        self._process = subprocess.Popen(
            [*account, "bash"], cwd=folder, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def type(self, line: str) -> str:
        """Return the output of a command; raises SystemExit if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(f"$ {line}", flush=True)
        self._process.stdin.write(f"{line}\necho {END} $?\n")
        self._process.stdin.flush()
        output = []
        for printed in self._process.stdout:
            text, end, code = printed.partition(f"{END} ")
            output.append(text)
            if end:
                if int(code):
                    sys.exit(f"error: exit code {int(code)} of: {line}")
                return "".join(output)
            print(f"  {printed}", end="", flush=True)
        sys.exit(f"error: the shell ended at: {line}")

    def start(self, line: str, number: int) -> None:
        """Start a command that keeps running, as in its own terminal."""
        self.type(f"{line} > ~/terminal-{number}.log 2>&1 &")

    def where(self) -> tuple[str, str]:
        """Return the current folder and PATH."""
        return self.type("pwd").strip(), self.type('echo "$PATH"').strip()


def own_loopback() -> None:
    """Enter a network namespace that has only 127.0.0.1."""
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000) != 0:  # CLONE_NEWNET
        sys.exit(f"error: no network namespace: {os.strerror(ctypes.get_errno())}")
    with socket.socket() as handle:
        fcntl.ioctl(handle, 0x8914, struct.pack("16sH14s", b"lo", 0x41, b""))  # SIOCSIFFLAGS: UP, RUNNING


def newcomer() -> dict[str, str]:
    """Create the user with a copy of the project, and return the environment of a fresh login."""
    subprocess.run(["useradd", "--create-home", "--shell=/bin/bash", USER], check=True)
    shutil.copytree(TOP, HOME / "project", symlinks=True)
    subprocess.run(["chown", "-R", f"{USER}:{USER}", HOME], check=True)
    kept = {name: value for name, value in os.environ.items() if name != "PWD"}
    return {**kept, "HOME": str(HOME), "USER": USER, "PATH": "/usr/local/bin:/usr/bin:/bin"}


class Reader:
    """Simulated reader who follows the page block by block."""

    def __init__(self) -> None:
        self._environment = newcomer()
        self._shell = Shell(f"{HOME}/project", self._environment)
        self._folder = ""
        self.started = self.inspected = 0

    def block(self, kind: str, text: str) -> None:
        """Follow one block of the page; kind: "yaml" or "sh"."""
        first, _, rest = text.partition("\n")
        if kind == "yaml":
            self._file(first.removeprefix("# "), text)
        elif first == "# as root":
            Shell("/", dict(os.environ), "root").type(rest.strip())
        elif first == "# keeps running":
            self._start(rest.strip())
        else:
            for line in (rest if first == "# install" else text).strip().split("\n"):
                self._command(line)

    def _file(self, name: str, text: str) -> None:
        """Save a file in the current folder; leave the network before the first one."""
        if not self._folder:
            self._folder, path = self._shell.where()
            own_loopback()
            self._shell = Shell(self._folder, {**self._environment, "PATH": path})
        file = Path(self._folder) / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        print(f"wrote {file}", flush=True)

    def _start(self, line: str) -> None:
        self.started += 1
        self._shell.start(line, self.started)
        until_shown(*next(found for start, found in SHOWS.items() if line.startswith(start)))

    def _command(self, line: str) -> None:
        about_requests = line.startswith(("retrain-bridge requests", "retrain-bridge explain"))
        if about_requests:
            until_shown(*FIRST_REQUEST)
            self.inspected += 1
        output = self._shell.type(line)
        if about_requests and "DataDri" not in output:
            sys.exit(f"error: the output lacks the rule that fired: {output}")


def main() -> None:
    """Follow the page, and check that it still starts and inspects what it should."""
    reader = Reader()
    for kind, text in fences(TOP / "docs" / "quickstart.md"):
        reader.block(kind, text)
    if (reader.started, reader.inspected) != (len(SHOWS), 2):
        sys.exit(
            f"error: {reader.started} commands keep running and {reader.inspected} show requests; the page has changed"
        )
    print("the quickstart leads to the first request")


if __name__ == "__main__":
    main()
