"""Place of this process in a fleet of replicas: it looks at the database, takes the lease when it may, and renews it.

A replica is a standby or the owner. Only the owner has an engine and couriers; its transactions renew the lease
under its fence (store.leases). It stops by itself once it has not renewed for two thirds of the lease.
"""

from __future__ import annotations

import logging
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from bridge import __version__
from bridge.app import clock
from bridge.app.fleet_metrics import FleetMetrics
from bridge.domain.errors import ConfigError, Problem, SchemaTooNewError, StoreError
from bridge.domain.times import SECOND, Duration, format_duration
from bridge.net.hosts import host_of, is_http_url
from bridge.net.redact import redact
from bridge.store.leases import SILENT_LEASES, Fence, FleetState, Leases, Member
from bridge.store.opening import migrate, parse_url, server_engine, shown, translated, verify_schema

log = logging.getLogger(__name__)

SHORTEST_LEASE = 1 * SECOND
LOOKS = 3  # looks at the database during one lease
SHORTEST_IDLE = 2 * SECOND  # a busy host may pause between two statements
FOLLOWED = 250  # ms; a smaller difference to the database's clock is the round trip's


def _every_address(host: str) -> bool:
    """Return whether a host stands for all addresses, as 0.0.0.0 does."""
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """Options of a fleet's replica.

    lease: time after which another replica takes over from a silent owner, in ms.
    id: name of this replica; "" = host name and random digits.
    address: base URL at which other replicas reach this one.
    http_config_file: http_config with which this replica reaches the others; None = none.
    """

    lease: Duration
    id: str
    address: str
    http_config_file: Path | None = None

    def __post_init__(self) -> None:
        """Raise ConfigError for an option that cannot work."""
        problems = []
        if self.lease < SHORTEST_LEASE:
            text, hint = "is too short to be renewed in time", f"at least {format_duration(SHORTEST_LEASE)}"
            problems.append(Problem("--fleet.lease", 0, "", f"{format_duration(self.lease)} {text}", hint))
        if not is_http_url(self.address) or _every_address(host_of(self.address)):
            text, hint = "is no URL at which other replicas reach this one", "for example http://10.0.0.1:9095"
            problems.append(Problem("--fleet.advertise-address", 0, "", f"{self.address!r} {text}", hint))
        if problems:
            raise ConfigError(problems)


class Fleet:
    """This replica among the others.

    url: of the database. config_hash: returns the digest of the configuration files.
    verify: loads these files; raises ConfigError.
    changed: called when the lease was taken or lost, and at every stop.
    """

    def __init__(
        self,
        url: str,
        options: FleetOptions,
        config_hash: Callable[[], str],
        verify: Callable[[], object],
        changed: Callable[[], None],
    ) -> None:
        self._url = parse_url(url)
        self._options = options
        self._config_hash = config_hash
        self._verify = verify
        self._refused = ""  # digest of changed files that have errors
        self._outdated = False  # a newer version has migrated the database, and this one cannot use it
        self._changed = changed
        member_id = options.id or f"{socket.gethostname()}-{secrets.token_hex(4)}"
        self._member = Member(member_id, options.address.rstrip("/"), __version__, config_hash())
        self._silence = SILENT_LEASES * options.lease / 1000
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._renewed = self._free_since = self._barred_until = 0.0  # monotonic
        self.fence: Fence | None = None
        self.state: FleetState | None = None
        self.metrics = FleetMetrics()
        name = shown(self._url)
        migrating = server_engine(self._url, pooled=False)
        engine = server_engine(self._url, self.idle_limit, pooled=False)
        try:
            with translated(name):
                migrate(migrating, name)
                self._leases = Leases(engine, self._member, options.lease)
                self._config_seq = self._leases.config_seq(reloaded=False)
        except BaseException:
            engine.dispose()
            raise
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)

    @property
    def id(self) -> str:
        """Name of this replica."""
        return self._member.id

    @property
    def idle_limit(self) -> Duration:
        """Time after which the database ends a transaction of a silent replica, in ms."""
        return max(SHORTEST_IDLE, self._options.lease // 2)

    @property
    def check_interval(self) -> Duration:
        """Interval at which the owner must call `check`, in ms."""
        return max(50, self._options.lease // 12)

    @property
    def owner_address(self) -> str:
        """Address of the present owner, "" if none is known."""
        if self.fence is not None:
            return self._member.address
        return self.state.owner_address if self.state is not None else ""

    def start(self) -> None:
        """Look at the database now, and then in a thread."""
        self._look()
        self._thread.start()

    def stop(self) -> None:
        """Give the lease up, and leave the fleet. The couriers must have stopped."""
        self._stopping = True
        self._wake.set()
        self._thread.join(self._options.lease / 1000)
        fence, self.fence = self.fence, None
        if fence is not None:
            self._release(fence)
        try:
            self._leases.leave()
        except SQLAlchemyError as error:
            log.warning("this replica was not removed from the fleet", extra={"error": redact(str(error))})
        self._leases.close()

    def _release(self, fence: Fence) -> None:
        try:
            self._leases.release(fence.number)
        except SQLAlchemyError as error:
            log.warning("the lease was not released; it ends by itself", extra={"error": redact(str(error))})

    def reloaded(self) -> None:
        """Record that this replica has loaded its configuration anew."""
        self._member = replace(self._member, config_hash=self._config_hash())
        self._leases.member = self._member
        try:
            self._config_seq = self._leases.config_seq(reloaded=True)
        except SQLAlchemyError as error:
            log.warning("the configuration's number was not stored", extra={"error": redact(str(error))})

    def check(self) -> None:
        """Give up the ownership if the lease was not renewed for two thirds of its length."""
        fence = self.fence
        if fence is not None and time.monotonic() - self._renewed > self._options.lease / 1500:
            self.lose(fence, "the lease was not renewed in time")

    def lose(self, fence: Fence, reason: str) -> None:
        """End the ownership under a fence; without effect if this replica has taken the lease again since."""
        with self._lock:
            if self.fence is not fence:
                return
            self.fence = None
            self._free_since = 0.0
        self.metrics.lost(fence.fenced)
        log.warning("this replica is no longer the owner", extra={"fence": fence.number, "reason": reason})
        self._changed()

    def hand_over(self, fence: Fence, reason: str) -> None:
        """End the ownership and release the lease, because this replica cannot use it. The couriers must have stopped.

        For the length of a lease, this replica does not take it again.
        """
        if self.fence is fence:
            self._barred_until = time.monotonic() + self._options.lease / 1000
            self.lose(fence, reason)
            self._release(fence)

    def _run(self) -> None:
        while not self._stopping:
            self._wake.wait(self._options.lease / 1000 / LOOKS)
            self._wake.clear()
            if not self._stopping:
                self._look()

    def _look(self) -> None:
        before = time.monotonic()
        if self.fence is None:
            self._reread()
        try:
            with translated():
                self.state = state = self._leases.look(self._config_seq)
                self._follow(state.offset)
                self._agree(state)
                self._compare(state.schema)
                if (fence := self.fence) is not None:
                    self._renew(fence, before)
                elif self._may_take(state):
                    self._take(before)
        except StoreError as error:
            self.metrics.renewed("error")
            log.warning("the fleet's database does not answer", extra={"error": str(error)})
        self.metrics.looked(self.state, self._config_seq, owner=self.fence is not None)

    def _reread(self) -> None:
        """Number the configuration of a standby anew if its files have changed: it loads them when it takes over.

        Changed files that have errors leave the number as it is.
        """
        found = self._config_hash()
        if found in (self._member.config_hash, self._refused):
            return
        try:
            self._verify()
        except ConfigError as error:
            self._refused = found
            log.error("changed configuration files have errors; the owner keeps its own", extra={"error": str(error)})  # noqa: TRY400 - says it all
            return
        self.reloaded()

    def _agree(self, state: FleetState) -> None:
        """Take the number of a replica that has given the same configuration a higher one."""
        same = [item.config_seq for item in state.replicas if item.config_hash == self._member.config_hash]
        self._config_seq = max([self._config_seq, *same])

    def _compare(self, schema: str) -> None:
        """Stay a standby from now on if a newer version has migrated the database so that this one cannot use it."""
        if self._outdated:
            return
        try:
            verify_schema(schema, shown(self._url))
        except SchemaTooNewError as error:
            self._outdated = True
            log.error("this replica cannot be the owner any more; update it", extra={"error": str(error)})  # noqa: TRY400 - says it all

    def _follow(self, offset: Duration) -> None:
        """Follow the database's clock; a standby may go back, because it has decided nothing."""
        if abs(offset - clock.offset()) > FOLLOWED:
            log.warning("this host's clock differs from the database's, which counts", extra={"by_ms": offset})
            clock.follow(offset, anew=self.fence is None)

    def _renew(self, fence: Fence, before: float) -> None:
        if self._leases.renew(fence.number):
            self._renewed = before
            self.metrics.renewed("success")
        else:
            self.metrics.renewed("lost")
            self.lose(fence, "another replica has taken over")

    def _may_take(self, state: FleetState) -> bool:
        """Return whether the lease is free for this replica.

        A replica with an older configuration waits until no newer one was seen for SILENT_LEASES leases, so that a
        rolling update does not hand the episodes of new rules to a replica that does not have these rules.
        """
        if self._outdated or not state.free or time.monotonic() < self._barred_until:
            self._free_since = 0.0
            return False
        if any(item.config_seq > self._config_seq for item in state.replicas):
            self._free_since = 0.0
            return False
        now = time.monotonic()
        self._free_since = self._free_since or now
        return state.config_seq <= self._config_seq or now - self._free_since >= self._silence

    def _take(self, before: float) -> None:
        try:
            fence = self._leases.take(self._config_seq)
        except SchemaTooNewError:
            return  # migrated since the look; the next one reports it
        if fence is None:
            return
        with self._lock:
            self.fence, self._renewed = fence, before
        self.metrics.taken()
        log.info("this replica is the owner now", extra={"replica": self.id, "fence": fence.number})
        self._changed()
