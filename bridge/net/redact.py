"""Redaction of secrets in text: credentials in URLs and headers, and signing secrets."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

SECRET = "<secret>"  # noqa: S105 - printed in place of a secret
# A password may contain characters that end a URL in text.
_USER = re.compile(r"(https?://)[^\s/?#]*@")
_URL = re.compile(r"https?://(?:<secret>|[^\s'\"<>\\)])+")
# requests prints only the path and query string of a failed URL, which may contain secrets too.
_BARE_QUERY = re.compile(r"(?<=[\w/])\?(?:<secret>|[^\s'\"<>()])*")
# Query parameters of Prometheus' API are not secret; without them one could not tell which query failed.
_SHOWN = frozenset(
    {
        "query", "time", "start", "end", "step", "timeout", "match[]", "nocache", "partial_response",
        "deny_partial_response", "dedup", "max_source_resolution",
    }
)  # fmt: skip
_MIN_PART = 6  # characters; longer parts of a secret URL are hidden wherever they occur
_WHSEC = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)([A-Za-z]+\s+)?[^\s'\",}]+")
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}")


_STOPS = ":.,;"  # at the end of a match they belong to the sentence, not to the URL


def redact_url(url: str) -> str:
    """Return `url` without user info and with its query string hidden, except the parameters of Prometheus' API."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SECRET
    host = parts.netloc.rpartition("@")[2]
    user = f"{SECRET}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{host}{parts.path}" + (_query(parts.query) if "?" in url else "")


def _query(query: str) -> str:
    """Return "?" with the parameters that may be shown; all others are replaced by a single <secret>."""
    given = query.split("&")
    shown = [item for item in given if unquote(item.partition("=")[0]) in _SHOWN and "=" in item]
    hidden = [SECRET] if len(shown) < len(given) else []
    return "?" + "&".join(shown + hidden)


def hide_url(text: str, url: str) -> str:
    """Return `text` with a secret URL removed: the URL, its path, and every long part of path and query."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    segments = {*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}
    long = {form for segment in segments for form in (segment, unquote(segment)) if len(form) >= _MIN_PART}
    for secret in sorted({url, target, parts.path} - {"", "/"} | long, key=len, reverse=True):
        text = text.replace(secret, SECRET)
    return text


def redact(text: str) -> str:
    """Return `text` with every URL redacted, and authorization values and `whsec_` secrets hidden."""
    text = _USER.sub(lambda match: f"{match.group(1)}{SECRET}@", text)
    text = _URL.sub(lambda match: redact_url(match.group().rstrip(_STOPS)) + _stops(match.group()), text)
    text = _BARE_QUERY.sub(_shown_query, text)
    text = _WHSEC.sub(SECRET, text)
    text = _HEADER.sub(lambda match: match.group(1) + SECRET, text)
    return _SCHEME.sub(lambda match: f"{match.group(1)} {SECRET}", text)


def _shown_query(match: re.Match[str]) -> str:
    """Return a query string with its secrets hidden; anything without "=" is returned unchanged."""
    text = match.group()
    return _query(text.rstrip(_STOPS)[1:]) + _stops(text) if "=" in text else text


def _stops(text: str) -> str:
    """Return the punctuation at the end of a match."""
    return text[len(text.rstrip(_STOPS)) :]
