"""Signatures of sinks: sources of the secrets, and the time that is signed."""

from __future__ import annotations

import base64
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.net.session import NetError
from bridge.net.signature import verify
from bridge.sinks.signing import SignedSinkConfig, Signer

A, B = (f"whsec_{base64.b64encode(bytes([number]) * 24).decode()}" for number in (1, 2))
NOW = 1_700_000_000_000


def signer(folder: Path = Path(), **keys: Any) -> Signer:
    return Signer(SignedSinkConfig.model_validate({"url": "http://localhost", **keys}), folder)


def test_each_secret_signs() -> None:
    """A receiver may have either during a rotation."""
    headers = signer(secrets=[A, B]).headers("msg", b"body", NOW)
    for secret in (A, B):
        verify([secret], headers, b"body", NOW)
    assert headers["webhook-id"] == "msg"


def test_without_a_secret_nothing_is_signed() -> None:
    assert signer().headers("msg", b"body", NOW) == {}


def test_the_time_is_never_in_the_future() -> None:
    """A receiver refuses it; a request of the past keeps its own time."""
    assert signer(secret=A).headers("msg", b"", NOW)["webhook-timestamp"] == str(NOW // 1000)
    before = int(time.time())
    signed = int(signer(secret=A).headers("msg", b"", 2**50)["webhook-timestamp"])
    assert before <= signed <= int(time.time())


def test_a_secret_file_is_read_again(tmp_path: Path) -> None:
    """One secret per line; a file that cannot be used is an error of the credentials."""
    made = signer(tmp_path, secret_file="secret")
    (tmp_path / "secret").write_text(f"{A}\n{B}\n")
    assert made.current() == [A, B]
    (tmp_path / "secret").write_text(B)
    assert made.current() == [B]
    for text, message in ((" \n", "is empty"), ("whsec_!!", "cannot use secret_file")):
        (tmp_path / "secret").write_text(text)
        with pytest.raises(NetError, match=message) as caught:
            made.current()
        assert caught.value.reason == "credential"
        assert text.strip() == "" or text not in str(caught.value)


@pytest.mark.parametrize(
    "keys",
    [{"secret": A, "secrets": [B]}, {"secret": A, "secret_file": "x"}, {"secret": "short"}, {"secrets": [A] * 9}],
)
def test_wrong_entries_are_refused(keys: dict[str, Any]) -> None:
    """The message does not show a secret."""
    with pytest.raises(ValidationError) as caught:
        signer(**keys)
    assert A not in str(caught.value)
