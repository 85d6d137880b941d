"""Alertmanager's silences: fetched from every Alertmanager now and then, served from memory at any time."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import msgspec
import requests

from bridge.domain import waits
from bridge.domain.times import HOUR, Duration, Timestamp, rfc3339
from bridge.net.http_config import HttpConfig
from bridge.net.redact import redact_url
from bridge.net.session import Answer, NetError, call, forget_credentials, open_session
from bridge.ports import SilenceSnapshot
from bridge.ports.silencing import NewSilence, SilencingError, UnknownSilenceError
from bridge.sources.silence_list import Listing, NotAListError, latest, read_silences

log = logging.getLogger(__name__)

MOST_BYTES = 32 * 1024 * 1024
# Slots lie in the past; a silence that ended longer ago covers none of them.
KEPT_AFTER_END: Duration = HOUR
SHOWN = 3
# An unknown id is answered with 500 and a text up to Alertmanager 0.26, and with 404 alone since; another server that
# answers 404, such as a proxy, has a text of its own.
NOT_FOUND = 404
NO_UUID = 422
_UNKNOWN = "silence not found"
_REASONS = {401: "unauthorized", 403: "unauthorized", 429: "rate_limited"}
_CLASSES = {3: "redirect", 4: "http_4xx", 5: "http_5xx"}
_NOTHING = SilenceSnapshot()


@dataclass(frozen=True)
class SilenceTarget:
    """Alertmanager to fetch from. url: with its route prefix, without /api/v2. http: same settings as for sending."""

    url: str
    http: HttpConfig = field(default_factory=HttpConfig)


class _Created(msgspec.Struct):
    silence_id: str = msgspec.field(name="silenceID")


class _FetchError(Exception):
    """Failed fetch. reason: one of the reasons of ports.Delivery."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class AlertmanagerSilences:
    """Implementation of ports.Silences over several Alertmanagers, members of one cluster or not.

    base_dir: folder that `*_file` settings are relative to. timeout: seconds for all Alertmanagers together.
    known: snapshot to serve until the first fetch, carried over from before a reload.
    """

    def __init__(
        self,
        targets: Sequence[SilenceTarget],
        base_dir: Path,
        *,
        timeout: float = waits.SILENCE,
        known: SilenceSnapshot = _NOTHING,
    ) -> None:
        different = [target for index, target in enumerate(targets) if target not in targets[:index]]
        self._clients = [_Client(target, base_dir) for target in different]
        self._timeout = timeout
        self._fetching = threading.Lock()
        self._snapshot = known
        self._closed = False

    def snapshot(self) -> SilenceSnapshot:
        """Return the result of the last successful fetch. Thread-safe: the snapshot is replaced as a whole."""
        return self._snapshot

    def fetch(self, now: Timestamp) -> SilenceSnapshot:
        """Query every Alertmanager once and store the silences of those that respond; if none does, nothing changes.

        Never raises, takes no longer than `timeout`, and sends nothing once closed.
        """
        with self._fetching:
            answers = [] if self._closed else self._answers()
            if answers:
                kept = (item for item in latest(answers).values() if item.ends_at > now - KEPT_AFTER_END)
                self._snapshot = SilenceSnapshot(tuple(kept), now)
        if self._closed:
            self.close()
        return self._snapshot

    def _answers(self) -> list[Listing]:
        listings = [client.listing(share) for client, share in self._shares(self._timeout)]
        return [listing for listing in listings if listing is not None]

    def _shares(self, seconds: float) -> Iterator[tuple[_Client, float]]:
        """Yield each Alertmanager with its share of the time that is left: one that hangs leaves time for others."""
        ends = time.monotonic() + seconds
        for index, client in enumerate(self._clients):
            yield client, max((ends - time.monotonic()) / (len(self._clients) - index), 0.01)

    def failing(self) -> Mapping[str, str]:
        """Return address -> reason of the Alertmanagers that failed in the last fetch."""
        return {client.shown: client.reason for client in self._clients if client.reason}

    def addresses(self) -> list[str]:
        """Return the address of each Alertmanager, without secrets."""
        return [client.shown for client in self._clients]

    def create(self, address: str, silence: NewSilence) -> str:
        """Create a silence in the Alertmanager at `address`, and return its id. Raises SilencingError."""
        for client in self._clients:
            if client.shown == address:
                return client.create(silence)
        raise SilencingError(f"{address!r} is not an Alertmanager of the configuration")

    def expire(self, silence_id: str) -> None:
        """End a silence in each Alertmanager that has it.

        Raises UnknownSilenceError if none has it, and SilencingError if none ended it for another reason.
        """
        shares = self._shares(waits.SILENCE)
        refusals = [error for client, share in shares if (error := client.expire(silence_id, share)) is not None]
        if len(refusals) == len(self._clients):
            unknown = bool(refusals) and all(isinstance(error, UnknownSilenceError) for error in refusals)
            kind = UnknownSilenceError if unknown else SilencingError
            raise kind("; ".join(map(str, refusals)) or "no receiver is an Alertmanager")

    def close(self) -> None:
        """Close the connections without waiting: a fetch in progress closes them when it ends."""
        self._closed = True
        if self._fetching.acquire(blocking=False):
            try:
                for client in self._clients:
                    client.close()
            finally:
                self._fetching.release()


class _Client:
    """Client of one Alertmanager. shown: its redacted address. reason: why the last fetch failed, "" on success."""

    def __init__(self, target: SilenceTarget, base_dir: Path) -> None:
        self._target = target
        self._base_dir = base_dir
        self._url = f"{target.url.rstrip('/')}/api/v2/silences"
        self._session: requests.Session | None = None
        self.shown = redact_url(target.url)
        self.reason = ""
        self._unclear = 0

    def listing(self, deadline: float) -> Listing | None:
        """Return the silences; None when the fetch failed."""
        try:
            listing = read_silences(self._get(deadline).body)
        except (_FetchError, NetError) as error:
            self._failed(str(error), error.reason)
            return None
        except NotAListError as error:
            self._failed(str(error), "invalid_answer")
            return None
        self._answered(listing)
        return listing

    def create(self, silence: NewSilence) -> str:
        """Create a silence and return its id. Raises SilencingError."""
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in silence.labels.items()
            ],
            "startsAt": rfc3339(silence.starts_at), "endsAt": rfc3339(silence.ends_at),
            "createdBy": silence.created_by, "comment": silence.comment,
        }  # fmt: skip
        try:
            with open_session(self._target.http, self._base_dir) as session:
                answer = call(
                    session, "POST", self._url, deadline=waits.SILENCE, data=msgspec.json.encode(body),
                    headers={"Content-Type": "application/json"},
                )  # fmt: skip
        except NetError as error:
            doubt = "; it may have been created" if error.sent else ""
            raise SilencingError(f"{self.shown} did not answer: {error}{doubt}") from None
        if answer.status != 200:
            told = answer.body.decode(errors="replace").strip()[:200]
            raise SilencingError(f"{self.shown} answered HTTP {answer.status}: {told}")
        try:
            return msgspec.json.decode(answer.body, type=_Created).silence_id
        except msgspec.DecodeError:
            raise SilencingError(f"{self.shown} answered, but not with the id of a silence") from None

    def expire(self, silence_id: str, deadline: float) -> SilencingError | None:
        """End a silence, and return why it was not ended, None if it was."""
        url = f"{self._url.removesuffix('s')}/{quote(silence_id, safe='')}"
        try:
            with open_session(self._target.http, self._base_dir) as session:
                answer = call(session, "DELETE", url, deadline=deadline)
        except NetError as error:
            return SilencingError(f"{self.shown} did not answer: {error}")
        if answer.status == 200:
            return None
        told = answer.body.decode(errors="replace").strip()[:200]
        if _UNKNOWN in told or answer.status == NO_UUID or (answer.status == NOT_FOUND and not told):
            return UnknownSilenceError(f"{self.shown} has no silence {silence_id!r}")
        return SilencingError(f"{self.shown} answered HTTP {answer.status}: {told}")

    def close(self) -> None:
        """Close the session; the next fetch opens another."""
        if self._session is not None:
            self._session.close()
            self._session = None

    def _get(self, deadline: float) -> Answer:
        if self._session is None:
            self._session = open_session(self._target.http, self._base_dir)
        answer = call(
            self._session, "GET", self._url, deadline=deadline, max_bytes=MOST_BYTES, must_fit=True,
            headers={"Accept": "application/json"},
        )  # fmt: skip
        if answer.status in {401, 403}:
            forget_credentials(self._session)
        if answer.status != 200:
            reason = _REASONS.get(answer.status) or _CLASSES.get(answer.status // 100, "invalid_answer")
            raise _FetchError(f"answered HTTP {answer.status}", reason)
        return answer

    def _failed(self, message: str, reason: str) -> None:
        if reason != self.reason:
            fields = {"alertmanager": self.shown, "reason": reason, "error": message}
            log.warning("silences cannot be fetched", extra=fields)
        self.reason = reason

    def _answered(self, listing: Listing) -> None:
        if self.reason:
            log.info("silences can be fetched again", extra={"alertmanager": self.shown})
        unclear = listing.unclear
        if len(unclear) > self._unclear:
            fields = {"alertmanager": self.shown, "count": len(unclear), "first": unclear[:SHOWN]}
            log.warning("silences cannot be parsed: requests that they may cover are held", extra=fields)
        self.reason, self._unclear = "", len(unclear)
