"""Redacted text contains no secret."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.net.redact import redact, redact_url


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET http://ada:topsecret@host:1/a?token=topsecret failed", "GET http://<secret>@host:1/a?<secret> failed"),
        ("see http://ada:top)s'e\"c@ret@host/a, or not", "see http://<secret>@host/a, or not"),
        ("(url: /api/v1/query?query=up&key=topsecret)", "(url: /api/v1/query?query=up&<secret>)"),
        ("signed with whsec_dG9wc2VjcmV0dG9wc2VjcmV0", "signed with <secret>"),
        ("{'Authorization': 'Bearer topsecret'}", "{'Authorization': '<secret>'}"),
        ("authorization: topsecret", "authorization: <secret>"),
        ("sent Bearer topsecret", "sent Bearer <secret>"),
        ("is it done? no", "is it done? no"),
    ],
)
def test_secrets_are_redacted(text: str, shown: str) -> None:
    """User info, query strings, signing secrets, credentials."""
    assert redact(text) == shown


def test_an_invalid_url_is_not_shown_at_all() -> None:
    """Its content is unknown."""
    assert redact_url("http://[topsecret") == "<secret>"


@given(st.text(alphabet="ab:/?=&@ 'htps.", max_size=40).map(lambda text: f"http://{text}"))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """Messages may be redacted several times."""
    once = redact(text)
    assert redact(once) == once


def test_the_sentence_around_a_url_keeps_its_punctuation() -> None:
    """The colon before the error is not part of a query string."""
    assert redact("http://p:9090/api?token=abc: Connection refused") == "http://p:9090/api?<secret>: Connection refused"
    assert redact("asked /api/v1/query?query=up, and then") == "asked /api/v1/query?query=up, and then"
    assert redact("see http://p:9090/x.") == "see http://p:9090/x."
