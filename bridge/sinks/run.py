"""Sink that starts one run per request in an orchestrator, and follows it to its end.

Every start call is recorded before it is made. After an ambiguous outcome the run is looked up by its name first, and
the call is repeated only if there is none. Once a run was seen, nothing is started again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from bridge.domain.times import MINUTE, SECOND, Timestamp, format_duration
from bridge.net.redact import redact
from bridge.net.session import Answer, NetError, forget_credentials
from bridge.ports import Delivery, Notification, Result, Run, RunLedger, RunState, StatusReport
from bridge.sinks.base import HttpSink, SinkContext, classify, shown, unreached
from bridge.sinks.runs import following, lookup
from bridge.sinks.runs.caller import Caller, LoginError, refused, succeeded
from bridge.sinks.runs.config import RunConfig
from bridge.sinks.runs.expression import decoded, find, find_link, find_text
from bridge.sinks.runs.plan import Plan, basic, freeze

log = logging.getLogger(__name__)

CALLS_OF_AN_ATTEMPT = 4  # of average length; the lease is twice as long
FOREIGN_AFTER = 3  # look-ups without a run that make a 409 a conflict with something else
SHORTEST_HOLD, LONGEST_HOLD = 15 * SECOND, 15 * MINUTE
LATEST = 15 * MINUTE  # a start call arrives by then, or never
_CERTAIN = (Result.DENIED, Result.DEAD)


class RunSink(HttpSink):
    """Sink for orchestrators. The ledger of the context remembers every run."""

    integration = "run"
    Config: ClassVar[type[RunConfig]] = RunConfig
    reports_status = True

    def __init__(self, config: RunConfig, context: SinkContext) -> None:
        super().__init__(config, context)
        self.attempt_deadline = CALLS_OF_AN_ATTEMPT * config.timeout
        self._config = config
        self._context = context
        self._alone = threading.Lock()
        self._destination = str(context.destination(self.integration))
        self._caller = Caller(self.attempt, self._url, config.login, context.base_dir)
        self._follower = following.Follower(config, self._destination, self._caller, context)

    @property
    def ledger(self) -> RunLedger:
        """Store of the runs. Raises RuntimeError without one."""
        if self._context.ledger is None:
            raise RuntimeError("run_configs need a store of runs")
        return self._context.ledger

    @property
    def _attempts(self) -> int:
        """Look-ups after which a run counts as absent."""
        return 1 if self._config.lookup is None else self._config.lookup.attempts

    # ------------------------------------------------------------ start

    def send(self, notification: Notification, now: Timestamp) -> Delivery:
        """Start the run, or find it; delivered once it was seen."""
        try:
            with self._alone:
                run = self.ledger.run(notification.request.id, self._destination) or self._prepare(notification, now)
                return self._step(run, notification, now) if isinstance(run, Run) else run
        except LoginError as error:
            return replace(classify(error.answer, now), result=Result.DENIED, answer=f"login: {shown(error.answer)}")
        except NetError as error:
            return unreached(error)

    def _prepare(self, notification: Notification, now: Timestamp) -> Run | Delivery:
        """Find the target, freeze the start call, and record the run."""
        request = notification.request
        variables = basic(self._config, request, self._context, now)
        found = self._find(variables, notification.queued_at, now)
        if isinstance(found, Delivery):
            return found
        plan = freeze(self._config, variables, found)
        most, size = self._config.max_payload_bytes, len((plan.start.data or "").encode())
        if 0 < most < size:
            text = f"the start call has {size} bytes, more than max_payload_bytes ({most}): pass fewer parameters"
            return Delivery(Result.DEAD, "too_large", answer=text)
        run = Run(request.id, self._destination, str(variables["RunID"]), plan.encode(), now, updated_at=now)
        self.ledger.save_run(run)
        return run

    def _find(self, variables: dict[str, Any], since: Timestamp, now: Timestamp) -> dict[str, Any] | Delivery:
        """Return the values of the target, or the outcome if it cannot be read."""
        call = self._config.find
        if call is None:
            return {}
        answer = self._caller.call(call, variables)
        item = find(call.item, decoded(answer.body)) if succeeded(call, answer) else None
        if answer.status in call.absent or (succeeded(call, answer) and item in (None, False, [], "")):
            return self._not_found(answer, since, now)
        if not succeeded(call, answer):
            return self._classified(answer, now)
        values = call.found(item)
        if lacking := call.lacking(values):
            return Delivery(Result.RETRY, "invalid_answer", answer.status, f"{lacking}: {shown(answer)}")
        return values

    def _not_found(self, answer: Answer, since: Timestamp, now: Timestamp) -> Delivery:
        """Return the outcome for a target that does not exist, or does not exist yet."""
        target = ", ".join(f"{key} {value}" for key, value in self._config.target.items())
        result = Result.RETRY if now - since < self._config.start.not_found_grace else Result.DEAD
        return Delivery(result, "http_4xx", answer.status, f"no such target ({target}): {shown(answer)}")

    def _step(self, run: Run, notification: Notification, now: Timestamp) -> Delivery:
        """Return the outcome of a run that is recorded: found, started, or held."""
        if run.reference:
            return Delivery(Result.DELIVERED, answer=f"run {run.reference}", reference=run.reference)
        if run.cancel_at and not run.sent_at:
            self.ledger.cancel_run(run.request_id, run.destination, now)
            return Delivery(Result.DELIVERED, answer="cancelled before it was started: nothing was sent")
        plan = Plan.decode(run.plan)
        looked = bool(run.sent_at) or self._config.guarantee == "lookup"
        if looked and self._config.lookup is not None:
            seen = self._look_up(run, plan, now)
            if seen is not None:
                return seen
            run = replace(run, lookups=run.lookups + 1)
        if run.sent_at and not self._may_repeat(run, now):
            return self._ended(run, now) if self._is_given_up(run, now) else self._held(run, now)
        if not run.sent_at and now - notification.queued_at > self._config.max_age:
            self.ledger.forget_run(run.request_id, run.destination)
            text = (
                f"no start call was possible for max_age ({format_duration(self._config.max_age)}): nothing was started"
            )
            return Delivery(Result.DEAD, "too_old", answer=text)
        return self._start(run, plan, notification.queued_at, now)

    def _may_repeat(self, run: Run, now: Timestamp) -> bool:
        """Return whether the start call of a run that was not found may be made again."""
        config = self._config
        if run.cancel_at:
            return False
        if run.again_at:
            return True
        if now - run.sent_at > config.max_age:
            return False
        if config.guarantee == "exact":
            return True
        return config.on_unknown == "resend" and config.lookup is not None and run.lookups >= self._attempts

    def _is_given_up(self, run: Run, now: Timestamp) -> bool:
        """Return whether a cancelled run that a look-up did not find will not turn up any more."""
        return bool(run.cancel_at) and self._config.lookup is not None and now - run.sent_at >= LATEST

    def _ended(self, run: Run, now: Timestamp) -> Delivery:
        """Return the outcome for a cancelled run that does not exist."""
        text = "cancelled; no run was found"
        ended = replace(run, state=RunState.CANCELLED, ended_at=now, updated_at=now, message=text)
        self.ledger.save_run(ended)
        return Delivery(Result.DELIVERED, answer=text)

    def _held(self, run: Run, now: Timestamp) -> Delivery:
        """Return the outcome for a run that may exist and is not found: look again later, start nothing."""
        held = replace(
            run, state=RunState.UNKNOWN, updated_at=now, message="no run was found; it may have been started"
        )
        self.ledger.save_run(held)
        wait = min(max((now - run.sent_at) // 10, SHORTEST_HOLD), LONGEST_HOLD)
        if self._config.lookup is not None and run.lookups < self._attempts:
            wait = self._config.lookup.interval
        text = f"the start call of {run.name} may have arrived, and no such run was found: nothing is started again"
        return Delivery(Result.HELD, "unknown_outcome", answer=text, retry_after=wait)

    def _start(self, run: Run, plan: Plan, since: Timestamp, now: Timestamp) -> Delivery:
        """Make the start call. Its outcome is ambiguous unless the server says that nothing was started."""
        self.ledger.save_run(run)
        if not self.ledger.claim_start(run, now):
            return Delivery(Result.HELD, "unknown_outcome", answer="the run changed meanwhile", retry_after=SECOND)
        try:
            answer = self._caller.send(plan.start)
        except LoginError:
            self.ledger.save_run(run)
            raise
        except NetError as error:
            if not error.sent:
                self.ledger.save_run(run)
            raise
        return self._after_start(run, plan, answer, since, now)

    def _after_start(self, run: Run, plan: Plan, answer: Answer, since: Timestamp, now: Timestamp) -> Delivery:
        call = self._config.start
        if succeeded(call, answer):
            return self._started(run, plan, answer, now)
        if refused(call, answer):
            return self._not_started(run, Delivery(Result.DEAD, "http_4xx", answer.status, shown(answer)))
        if answer.status in call.already:
            return self._already(run, plan, answer, now)
        if answer.status == 404:
            return self._not_started(run, self._not_found(answer, since, now), forget=True)
        delivery = self._classified(answer, now)
        if delivery.result in _CERTAIN or answer.status == 429:
            return self._not_started(run, delivery)
        return delivery  # 408, 425, 5xx, or a body that proves nothing: look it up first

    def _started(self, run: Run, plan: Plan, answer: Answer, now: Timestamp) -> Delivery:
        call, body = self._config.start, decoded(answer.body)
        reference = find_text(call.run, body) if call.run else run.name
        if not reference:
            return Delivery(Result.RETRY, "invalid_answer", answer.status, shown(answer))
        seen = lookup.FoundRun(reference, find_link(call.link, body))
        return self._seen(run, plan, seen, now, answer.status)

    def _not_started(self, run: Run, delivery: Delivery, *, forget: bool = False) -> Delivery:
        """Return the outcome of a call that certainly started nothing; an unsent run may be planned anew."""
        if not run.sent_at and (forget or delivery.result is Result.DEAD):
            self.ledger.forget_run(run.request_id, run.destination)
        else:
            self.ledger.save_run(run)
        return delivery

    def _already(self, run: Run, plan: Plan, answer: Answer, now: Timestamp) -> Delivery:
        """Return the outcome of "exists already": only a run that is found is ours."""
        seen = self._look_up(run, plan, now) if self._config.lookup is not None else None
        if seen is not None:
            return seen
        lookups = run.lookups + 1
        self.ledger.save_run(replace(run, lookups=lookups, again_at=0))
        text = f"the server reports a conflict, and there is no run {run.name}: {shown(answer)}"
        result = Result.DEAD if lookups >= FOREIGN_AFTER and not run.sent_at else Result.RETRY
        delivery = Delivery(result, "conflict", answer.status, text)
        return self._not_started(run, delivery) if result is Result.DEAD else delivery

    def _look_up(self, run: Run, plan: Plan, now: Timestamp) -> Delivery | None:
        """Return the outcome if the run is found or cannot be looked up, None if there is none."""
        call = self._config.lookup
        if call is None:
            return None
        answer = self._caller.call(call, plan.variables)
        found = lookup.find_run(call, answer, plan.variables, run.name)
        if isinstance(found, lookup.FoundRun):
            return self._seen(run, plan, found, now, answer.status)
        if found is lookup.Answered.ABSENT:
            return None
        if found is lookup.Answered.FOREIGN:
            text = f"another run has the name {run.name}: {shown(answer)}"
            return Delivery(Result.DEAD, "conflict", answer.status, text)
        outcome = self._classified(answer, now)
        return replace(outcome, result=Result.RETRY) if outcome.result is Result.DEAD else outcome

    def _seen(self, run: Run, plan: Plan, seen: lookup.FoundRun, now: Timestamp, status: int) -> Delivery:
        """Record the server's id of the run: from now on nothing is started again."""
        variables = {**plan.variables, "Reference": seen.reference}
        link = seen.link or self._follower.link(variables)
        recorded = replace(
            run, reference=seen.reference, link=link, state=RunState.QUEUED, sent_at=run.sent_at or now,
            seen_at=now, updated_at=now, message="", lookups=0, next_poll=now,
        )  # fmt: skip
        self.ledger.save_run(recorded)
        return Delivery(Result.DELIVERED, "ok", status, f"run {seen.reference}", reference=seen.reference)

    def _classified(self, answer: Answer, now: Timestamp) -> Delivery:
        delivery = classify(answer, now, self._url)
        if delivery.result is Result.DENIED:
            forget_credentials(self._session())
        if delivery.result is Result.DELIVERED:  # the right status with a body that proves nothing
            return replace(delivery, result=Result.RETRY, reason="invalid_answer")
        return delivery

    # ------------------------------------------------------------ later, and beside

    def follow(self, now: Callable[[], Timestamp], report: Callable[[StatusReport], object], until: Timestamp) -> None:
        """Poll the runs that are due, report changes, and cancel what is to be cancelled; stop at `until`."""
        self._follower.follow(self.ledger, now, report, until)

    def problems(self, now: Timestamp) -> Sequence[str]:
        """Return what is wrong with the target or the credentials, nothing if a run can be started."""
        if self._config.find is None:
            return self._login_problems()
        try:
            answer = self._caller.call(self._config.find, {"Target": self._config.target})
        except (NetError, LoginError) as error:
            return [str(error)]
        if not succeeded(self._config.find, answer) and answer.status not in self._config.find.absent:
            return [f"HTTP {answer.status}: {shown(answer)}"]
        item = find(self._config.find.item, decoded(answer.body))
        if answer.status in self._config.find.absent or item in (None, False, [], ""):
            return [self._not_found(answer, 0, now).answer]
        call = self._config.find
        problem = call.lacking(call.found(item)) or find_text(call.problem, item)
        return [problem] if problem else []

    def _login_problems(self) -> list[str]:
        try:
            self._caller.log_in()
        except (NetError, LoginError) as error:
            return [str(error)]
        return []

    def preview(self, notification: Notification, now: Timestamp) -> str:
        """Return the exact start call, secrets hidden; the target is looked up, and nothing is started."""
        variables = basic(self._config, notification.request, self._context, now)
        try:
            found = self._find(variables, now, now)
        except (NetError, LoginError) as error:
            return f"cannot read the target: {error}"
        if isinstance(found, Delivery):
            return f"cannot read the target: {found.answer}"
        start = freeze(self._config, variables, found).start
        headers = [f"{name}: {value}" for name, value in sorted(start.headers.items())]
        if self._config.login is not None or self._config.authenticated:
            headers.append("Authorization: <secret>")
        head = "\n".join([f"{start.method} {redact(self._url + start.path)}", *headers])
        return head if start.data is None else f"{head}\n\n{start.data}"
