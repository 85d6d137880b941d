"""A stub whose answers come from a real server: the suite of the stubs runs against it, faults included."""

from __future__ import annotations

import contextlib
import http.client
from typing import Any, ClassVar, Self
from urllib.parse import quote, urlencode, urlsplit

from tests.orchestrators.kinds import Airflow
from tests.orchestrators.servers import Orchestrator, ServerRun, decoded
from tests.support.orchestrators.stub import Answer, Call, Stub, StubRun

BUSY = 20  # repeats
MISSING = "missing"  # a target that the servers do not have


class Front(Stub):
    """Before one orchestrator. token: demanded of the caller; a login through the front lifts the demand.

    patient: repeat a call that the server was too busy for, so that a test sees only the faults that it wants.
    """

    headers: ClassVar = ("content-type", "authorization", "accept")

    def __init__(self, server: Orchestrator, *, patient: bool = False) -> None:
        self.behind, self.patient = server, patient
        self._before = {run.key for run in server.all_runs()}
        super().__init__()
        self.lock = contextlib.nullcontext()  # type: ignore[assignment]  # the server has its own
        entry = server.entry()
        self.preset, self.target, self.exact = entry["preset"], entry["target"], server.exact
        self.words = server.words
        self.entry = {key: entry[key] for key in ("login",) if key in entry}
        self.statuses: list[tuple[Call, int]] = []

    def __enter__(self) -> Self:
        front = super().__enter__()
        self.server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a killed bridge
        return front

    @property
    def runs(self) -> list[StubRun]:  # of the server, as they are now
        return Runs(self.behind, [run for run in self.behind.all_runs() if run.key not in self._before])

    @runs.setter
    def runs(self, _: object) -> None:
        """Accept the empty list that every stub begins with."""

    def is_start(self, call: Call) -> bool:
        return self.behind.starts(call.method, call.path, call.text)

    def is_login(self, call: Call) -> bool:
        return call.path == "/auth/token"

    def conflict(self) -> Answer:
        return 409, {"detail": "conflict"}

    def handle(self, call: Call) -> Answer:
        """Pass a call on, and its answer back."""
        path, text = quote(call.path, safe="/~:"), call.text
        if self.gone:
            path, text = path.replace("retrain", MISSING), text.replace('"retrain"', f'"{MISSING}"')
        query = urlencode(call.query, doseq=True)
        path = f"{path}?{query}" if query else path
        status, body = self._forward(call, path, text)
        for _ in range(BUSY if self.patient else 0):
            if status == 503:  # Prefect, when its database is busy
                status, body = self._forward(call, path, text)
        if self.is_login(call) and status < 300:
            self.token = ""
        self.statuses.append((call, status))
        return status, self._paused(call, decoded(body))

    def _forward(self, call: Call, path: str, text: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection(urlsplit(self.behind.url).netloc, timeout=120)
        headers = {name: value for name, value in call.headers.items() if name in self.headers}
        try:
            connection.request(call.method, path, text.encode(), headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException):
            return 502, b'{"detail": "the server does not answer"}'
        finally:
            connection.close()

    def _paused(self, call: Call, body: Any) -> Any:
        """Let `paused` decide what the bridge sees: tests with waiting runs pause the DAG for all of them."""
        if isinstance(self.behind, Airflow) and isinstance(body, dict) and "is_paused" in body:
            return {**body, "is_paused": self.paused}
        return body

    def taken(self, request_id: str) -> int:
        """Return how many start calls of a request the server answered with success."""
        return sum(self.is_start(call) and request_id in call.text and status < 300 for call, status in self.statuses)


class RealRun(StubRun):
    """A run of the server; setting its state sets it there."""

    def __init__(self, server: Orchestrator, run: ServerRun) -> None:
        self._behind, self._run = server, run
        super().__init__(run.key, run.key, run.state, body=run.body)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "state" and "body" in self.__dict__:
            self._behind.set_state(self._run, value)
        super().__setattr__(name, value)


class Runs(list[StubRun]):
    """The runs that came through a front; clearing the list deletes them on the server."""

    def __init__(self, server: Orchestrator, found: list[ServerRun]) -> None:
        super().__init__(RealRun(server, run) for run in found)
        self._behind, self._found = server, found

    def clear(self) -> None:
        for run in self._found:
            self._behind.delete(run)
        super().clear()
