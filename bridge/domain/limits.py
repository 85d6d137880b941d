"""How large a text or a request may be: one place, from which every receiver's limit follows."""

from __future__ import annotations


def cut(text: str, most: int) -> str:
    """Return `text`, or its first `most` characters and a mark that says so."""
    return text if len(text) <= most else f"{text[:most]}… (cut, {most} of {len(text)} characters)"
