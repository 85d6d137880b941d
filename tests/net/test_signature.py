"""Standard Webhooks signatures, checked against the reference library in both directions."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.domain.times import MINUTE
from bridge.net.signature import SignatureError, check_secret, sign, verify

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
OTHER = "whsec_" + base64.b64encode(b"o" * 24).decode()
TEXTS = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\0"), max_size=50)


def headers(timestamp: int, signature: str, message_id: str = "msg") -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": signature}


@given(key=st.binary(min_size=24, max_size=64), message_id=st.text("abc-123", min_size=1), body=TEXTS)
def test_the_librarys_verdict_on_our_signature_is_good(key: bytes, message_id: str, body: str) -> None:
    """For any key, id and body."""
    secret = "whsec_" + base64.b64encode(key).decode()
    now = int(datetime.now(UTC).timestamp())
    signature = sign([secret], message_id, now, body.encode())
    library = Webhook(secret)
    assert library.sign(message_id, datetime.fromtimestamp(now, UTC), body) == signature
    verify([secret], headers(now, library.sign(message_id, datetime.fromtimestamp(now, UTC), body), message_id),
           body.encode(), now * 1000)  # fmt: skip


def test_a_changed_body_id_or_time_is_noticed_by_both() -> None:
    """Each is part of what is signed."""
    now = int(datetime.now(UTC).timestamp())
    signature = sign([SECRET], "msg", now, b'{"a": 1}')
    for given_headers, body in (
        (headers(now, signature), b'{"a": 2}'),
        (headers(now, signature, "other"), b'{"a": 1}'),
        (headers(now - 1, signature), b'{"a": 1}'),
    ):
        with pytest.raises(SignatureError) as caught:
            verify([SECRET], given_headers, body, now * 1000)
        assert caught.value.reason == "mismatch"
        with pytest.raises(WebhookVerificationError):
            Webhook(SECRET).verify(body, given_headers)


def test_secrets_are_rotated_without_a_gap() -> None:
    """The sender signs with both and the receiver has one, and vice versa."""
    both = sign([OTHER, SECRET], "msg", 1000, b"{}")
    verify([SECRET], headers(1000, both), b"{}", 1_000_000)
    verify([OTHER, SECRET], headers(1000, sign([SECRET], "msg", 1000, b"{}")), b"{}", 1_000_000)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"webhook-id": None}, "missing"),
        ({"webhook-timestamp": None}, "missing"),
        ({"webhook-signature": None}, "missing"),
        ({"webhook-timestamp": "soon"}, "timestamp"),
        ({"webhook-timestamp": "9" * 20}, "timestamp"),
        ({"webhook-signature": ""}, "mismatch"),
        ({"webhook-signature": "v1,"}, "mismatch"),
        ({"webhook-signature": "v1a,abc v2,abc"}, "mismatch"),
        ({"webhook-signature": "v1,é"}, "mismatch"),
    ],
)
def test_what_is_not_signed_well_is_refused(changed: dict[str, str | None], reason: str) -> None:
    """With a reason, and without a crash."""
    all_headers = {**headers(1000, sign([SECRET], "msg", 1000, b"{}")), **changed}
    with pytest.raises(SignatureError) as caught:
        verify([SECRET], {key: value for key, value in all_headers.items() if value is not None}, b"{}", 1_000_000)
    assert caught.value.reason == reason


@pytest.mark.parametrize(("late", "good"), [(5 * MINUTE, True), (5 * MINUTE + 1, False), (-5 * MINUTE - 1, False)])
def test_an_old_or_early_message_is_refused(late: int, good: bool) -> None:
    """Five minutes either way, which limits replays. Header names are case-insensitive."""
    given_headers = {key.title(): value for key, value in headers(1000, sign([SECRET], "m", 1000, b""), "m").items()}
    if good:
        verify([SECRET], given_headers, b"", 1_000_000 + late)
        return
    with pytest.raises(SignatureError, match="5 minutes"):
        verify([SECRET], given_headers, b"", 1_000_000 + late)


@pytest.mark.parametrize(
    "text", ["topsecret", "whsec_topsecret!", "whsec_", "whsec_" + base64.b64encode(b"k" * 65).decode()]
)
def test_an_invalid_secret_is_described_and_not_shown(text: str) -> None:
    """The message describes the format."""
    with pytest.raises(ValueError, match="whsec_ followed by base64 of 24 to 64 random bytes") as caught:
        check_secret(text)
    assert "topsecret" not in str(caught.value)
