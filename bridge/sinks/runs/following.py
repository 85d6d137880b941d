"""Following of runs: polls with back-off, one call for many, cancellation, and the model version at the end."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from bridge.domain.limits import cut
from bridge.domain.request import RequestState
from bridge.domain.times import Timestamp, format_duration
from bridge.net.session import Answer, NetError
from bridge.ports import Run, RunLedger, RunState, StatusReport
from bridge.sinks.base import SinkContext
from bridge.sinks.runs.caller import Caller, LoginError, succeeded
from bridge.sinks.runs.calls import Call
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.expression import decoded, find, find_link, find_text
from bridge.sinks.runs.plan import of_run
from bridge.sinks.runs.registry import RegistrySearch
from bridge.sinks.runs.template import render_path

log = logging.getLogger(__name__)

RESULT_TRIES = 10  # polls after which a successful run is reported without its version
LOST_AFTER = 3  # polls in a row without the run
MANY = 100  # runs of one call
TEXT = 500  # characters of a message
_REPORTED = {
    RunState.QUEUED: RequestState.ACCEPTED,
    RunState.RUNNING: RequestState.RUNNING,
    RunState.SUCCEEDED: RequestState.SUCCEEDED,
    RunState.FAILED: RequestState.FAILED,
    RunState.CANCELLED: RequestState.CANCELLED,
    RunState.LOST: RequestState.LOST,
}
Report = Callable[[StatusReport], object]


class Follower:
    """Follower of the runs of one destination."""

    def __init__(self, config: RunConfig, destination: str, caller: Caller, context: SinkContext) -> None:
        self._config = config
        self._destination = destination
        self._caller = caller
        self._registry = None if config.mlflow is None else RegistrySearch(config.mlflow, config.timeout, context)
        self._problem = ""

    def link(self, variables: Mapping[str, Any]) -> str:
        """Return the URL of a run for people, "" if the entry has none, or the server has not made the run yet."""
        if self._config.status.run and variables["Reference"] == variables["RunID"]:
            return ""
        base = (self._config.ui_url or self._config.url).rstrip("/")
        return base + render_path(self._config.link, variables) if self._config.link else ""

    def follow(self, ledger: RunLedger, now: Callable[[], Timestamp], report: Report, until: Timestamp) -> None:
        """Cancel and poll the runs that are due, until `until`; an error of the server ends the round."""
        due = [run for run in ledger.open_runs(self._destination) if run.next_poll <= now()]
        try:
            for run in [item for item in due if item.cancel_at and not item.cancelled_at]:
                self._cancel(ledger, run, now())
            due = [ledger.run(run.request_id, run.destination) or run for run in due]
            items = self._many(due) if len(due) > 1 else {}
            for run in due:
                if now() > until:
                    return
                item = items.get(run.reference)
                if item is None:
                    item = self._one(run)
                self._settle(ledger, run, item, report, now())
            self._said("")
        except (NetError, LoginError) as error:
            self._said(str(error))
            for run in due:
                self._postpone(ledger, run, now())

    def _is_to_come(self, run: Run) -> bool:
        """Return whether the server makes the run later than the start call, and no poll has found it yet."""
        return bool(self._config.status.run) and run.reference == run.name

    def _said(self, problem: str) -> None:
        """Log a new problem once."""
        if problem and problem != self._problem:
            log.warning("cannot read the state of runs", extra={"destination": self._destination, "error": problem})
        self._problem = problem

    def _postpone(self, ledger: RunLedger, run: Run, now: Timestamp) -> None:
        known = ledger.run(run.request_id, run.destination)
        if known is not None and not known.ended_at and known.next_poll <= now:
            ledger.save_run(replace(known, next_poll=self._next(known, now)))

    def _next(self, run: Run, now: Timestamp) -> Timestamp:
        """Return the next poll: the wait is a tenth of the run's age, within the limits of `status`."""
        status = self._config.status
        return now + min(max((now - run.seen_at) // 10, status.interval), max(status.longest, status.interval))

    # ------------------------------------------------------------ calls

    def _cancel(self, ledger: RunLedger, run: Run, now: Timestamp) -> None:
        call = self._config.cancel
        if call is None:
            ledger.save_run(replace(run, cancelled_at=now, message="this receiver cannot cancel runs"))
            return
        item = self._one(run)
        if item is None and self._is_to_come(run):
            return  # cancelled once the server has made it
        found = run if item is None else self._present(run, item, now)
        if found.state.terminal:
            return  # Airflow would turn a success into a failure
        answer = self._caller.call(call, of_run(found))
        if succeeded(call, answer) or (400 <= answer.status < 500 and answer.status not in {401, 403, 408, 425, 429}):
            ledger.save_run(replace(run, cancelled_at=now, updated_at=now))
            fields = {"destination": self._destination, "request_id": run.request_id, "status": answer.status}
            log.info("cancellation sent", extra=fields)
        else:
            raise NetError(f"cancel: HTTP {answer.status}", "network")

    def _many(self, due: Sequence[Run]) -> Mapping[str, Any]:
        """Return the runs that one call finds, by the server's id."""
        call = self._config.statuses
        if call is None:
            return {}
        found: dict[str, Any] = {}
        for start in range(0, len(due), MANY):
            some = due[start : start + MANY]
            references = [run.reference for run in some]
            variables = {**of_run(some[0]), "Target": self._config.target, "References": references}
            answer = self._caller.call(call, variables)
            items = find(call.items, decoded(answer.body)) if succeeded(call, answer) else None
            for item in items if isinstance(items, list) else ():
                found[find_text(call.run, item)] = item
        return found

    def _one(self, run: Run) -> Any:
        """Return the run as the server describes it, None if it has none. Raises NetError for other responses."""
        status = self._config.status
        answer = self._caller.call(status, of_run(run))
        if answer.status in status.absent:
            return None
        body = decoded(answer.body)
        if not succeeded(status, answer) or body is None:
            raise NetError(f"status: HTTP {answer.status} without a usable body", "network")
        item = find(status.item, body)
        return None if item in (None, False, "", []) else item

    # ------------------------------------------------------------ states

    def _settle(self, ledger: RunLedger, run: Run, item: Any, report: Report, now: Timestamp) -> None:
        """Record what a poll found. The report comes first: after a crash in between it is repeated."""
        changed = self._absent(run) if item is None else self._present(run, item, now)
        if changed.state is RunState.SUCCEEDED:
            changed = self._with_version(run, changed, item)
        changed = self._deadline(changed, now)
        if changed.state.terminal:
            changed = replace(changed, ended_at=now, overdue=False)
        state = _REPORTED.get(changed.state)
        first = run.next_poll == run.seen_at
        news = any(getattr(changed, name) != getattr(run, name) for name in ("state", "message", "reference"))
        if state is not None and (first or news):
            facts = (changed.message, changed.new_version, changed.reference, changed.link)
            report(StatusReport(run.request_id, state, now, *facts))
        ledger.save_run(replace(changed, updated_at=now, next_poll=self._next(changed, now)))

    def _absent(self, run: Run) -> Run:
        if self._is_to_come(run):
            return replace(run, state=RunState.QUEUED)
        absent = run.absent + 1
        if absent < LOST_AFTER:
            return replace(run, absent=absent)
        return replace(run, absent=absent, state=RunState.LOST, message="the server has forgotten the run")

    def _present(self, run: Run, item: Any, now: Timestamp) -> Run:
        status = self._config.status
        word = find_text(status.value, item)
        known = {word: RunState(name) for name, words in status.map for word in words}
        state = known.get(word, RunState.UNKNOWN)
        message = cut(find_text(status.message, item), TEXT)
        if state is RunState.UNKNOWN:
            message = f"the server reports an unknown state: {cut(word, TEXT) or 'none'}"
        if state is RunState.FAILED and run.cancelled_at:
            state = RunState.CANCELLED  # several servers have no other word for it
        started = run.started_at or (now if state not in {RunState.QUEUED, RunState.UNKNOWN} else 0)
        if self._is_to_come(run):
            run = replace(run, reference=find_text(status.run, item) or run.reference)
        link = find_link(status.link, item) or run.link or self.link(of_run(run))
        return replace(run, state=state, message=message, link=link, absent=0, started_at=started)

    def _deadline(self, run: Run, now: Timestamp) -> Run:
        limit = self._config.start_deadline
        late = not run.started_at and not run.state.terminal and now - run.seen_at > limit
        if not late:
            return replace(run, overdue=False)
        why = self._why(run)
        text = f"not started within {format_duration(limit)}" + (f": {why}" if why else "")
        if not run.overdue:
            fields = {"destination": self._destination, "request_id": run.request_id, "run": run.reference}
            log.warning("run has not started within start_deadline", extra={**fields, "reason": why})
        return replace(run, overdue=True, message=text)

    def _why(self, run: Run) -> str:
        """Return the server's reason why the target does not run, "" if it gives none."""
        call = self._config.find
        if call is None or not call.problem:
            return ""
        try:
            answer = self._caller.call(call, of_run(run))
        except (NetError, LoginError):
            return ""
        return find_text(call.problem, find(call.item, decoded(answer.body)))

    def _with_version(self, run: Run, changed: Run, item: Any) -> Run:
        """Return the run with its version; while that cannot be read, the run before with a message.

        After RESULT_TRIES the run succeeds without a version.
        """
        try:
            return replace(changed, new_version=self._version(changed, item), lookups=0)
        except (NetError, LoginError) as error:
            if run.lookups >= RESULT_TRIES:
                return replace(changed, message=f"its result cannot be read: {error}")
            message = f"succeeded; its result cannot be read yet: {error}"
            started = changed.started_at
            return replace(run, state=RunState.RUNNING, message=message, lookups=run.lookups + 1, started_at=started)

    def _version(self, run: Run, item: Any) -> str:
        """Return the version that a successful run made: of its output, else of the model registry, else ""."""
        return next((version for version in self._versions(run, item) if version), "")

    def _versions(self, run: Run, item: Any) -> Iterator[str]:
        if self._config.status.model_version:
            yield find_text(self._config.status.model_version, item)
        if self._config.result is not None:
            yield find_text(self._config.result.model_version, self._body(self._config.result, run, item))
        if self._registry is not None:
            yield self._registry.version(of_run(run))

    def _body(self, call: Call, run: Run, item: Any) -> Any:
        """Return the JSON of a response, None if there is none. Raises NetError if it may be there later."""
        variables = of_run(run)
        values = {name: find(expression, item) for name, expression in self._config.status.values.items()}
        answer = self._caller.call(call, {**variables, "Found": {**variables["Found"], **values}})
        _may_be_later(answer)
        return decoded(answer.body) if succeeded(call, answer) else None


def _may_be_later(answer: Answer) -> None:
    if answer.status >= 500 or answer.status in {401, 403, 408, 425, 429}:
        raise NetError(f"result: HTTP {answer.status}", "network")
