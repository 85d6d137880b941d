"""Standard Webhooks signatures for sinks with a signing secret."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.domain.times import Timestamp
from bridge.net.files import read_text
from bridge.net.http_config import Secret
from bridge.net.session import NetError
from bridge.net.signature import check_secret, sign
from bridge.sinks.base import ConcurrentSinkConfig


def _checked(secret: Secret) -> Secret:
    check_secret(secret.reveal())
    return secret


SigningSecret = Annotated[Secret, AfterValidator(_checked)]


class SignedSinkConfig(ConcurrentSinkConfig):
    """Entry whose messages can be signed, by one of `secret`, `secret_file` (one per line) and `secrets` (rotation)."""

    secret: SigningSecret | None = None
    secret_file: str = ""
    secrets: tuple[SigningSecret, ...] = Field(default=(), max_length=8)

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if sum((self.secret is not None, bool(self.secret_file), bool(self.secrets))) > 1:
            raise ValueError("at most one of secret, secret_file and secrets may be set")
        return self


class Signer:
    """Signer of request bodies; a secret file is read at every use, so that a rotated secret applies at once."""

    def __init__(self, config: SignedSinkConfig, base_dir: Path) -> None:
        self._secrets = [item.reveal() for item in (config.secret, *config.secrets) if item is not None]
        self._file = base_dir / config.secret_file if config.secret_file else None

    def headers(self, message_id: str, body: bytes, now: Timestamp) -> Mapping[str, str]:
        """Return the three webhook-* headers; none without a secret.

        Raises NetError (credential) when the secret file is unusable.
        """
        secrets = self.current()
        if not secrets:
            return {}
        seconds = min(now // 1000, int(time.time()))  # the receiver compares it with its own clock
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(seconds),
            "webhook-signature": sign(secrets, message_id, seconds, body),
        }

    def current(self) -> list[str]:
        """Return the current secrets. Raises NetError (credential) when the secret file is unusable."""
        if self._file is None:
            return self._secrets
        try:
            secrets = read_text(self._file).split()
            for secret in secrets:
                check_secret(secret)
        except (OSError, ValueError) as error:
            cause = error.strerror if isinstance(error, OSError) else str(error)
            raise NetError(f"cannot use secret_file: {cause}", "credential") from None
        if not secrets:
            raise NetError("secret_file is empty", "credential")
        return secrets
