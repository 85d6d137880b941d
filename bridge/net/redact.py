"""Takes secrets out of what people read: URLs, credentials and signing secrets in any text."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

SECRET = "<secret>"  # noqa: S105 - what is printed instead of one
# A password may hold whatever ends a URL in a text.
_USER = re.compile(r"(https?://)[^\s/?#]*@")
_URL = re.compile(r"https?://(?:<secret>|[^\s'\"<>\\)])+")
# requests names the path of a failed URL alone: its query string holds what the URL's held.
_BARE_QUERY = re.compile(r"(?<=[\w/])\?(?:<secret>|[^\s'\"<>()])*")
# What we ask Prometheus is no secret: without it nobody can tell which query failed.
_SHOWN = frozenset({"query", "time", "start", "end", "step", "timeout", "match[]", "nocache", "partial_response"})
_TELLING = 6  # characters from which a part of a secret URL is hidden wherever it stands
_WHSEC = re.compile(r"whsec_[A-Za-z0-9+/=_-]+")
_HEADER = re.compile(r"(?i)\b(authorization['\"]?\s*[:=]\s*['\"]?)([A-Za-z]+\s+)?[^\s'\",}]+")
_SCHEME = re.compile(r"\b(Bearer|Basic)\s+[A-Za-z0-9._~+/=-]{6,}")


_STOPS = ":.,;"  # at its end they belong to the sentence, not to the URL


def redact_url(url: str) -> str:
    """Return `url` without user info, and with its query string hidden but for what asks Prometheus."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return SECRET
    host = parts.netloc.rpartition("@")[2]
    user = f"{SECRET}@" if "@" in parts.netloc else ""
    return f"{parts.scheme}://{user}{host}{parts.path}" + (_query(parts.query) if "?" in url else "")


def _query(query: str) -> str:
    """Return "?" and the parameters that may be shown; what else there is stands together as one secret."""
    given = query.split("&")
    shown = [item for item in given if unquote(item.partition("=")[0]) in _SHOWN and "=" in item]
    hidden = [SECRET] if len(shown) < len(given) else []
    return "?" + "&".join(shown + hidden)


def hide_url(text: str, url: str) -> str:
    """Return `text` without a URL that is a secret as a whole: its path, and every long part of path and query."""
    parts = urlsplit(url)
    target = parts.path + (f"?{parts.query}" if parts.query else "")
    pieces = {*parts.path.split("/"), *(value for _, value in parse_qsl(parts.query))}
    long = {found for piece in pieces for found in (piece, unquote(piece)) if len(found) >= _TELLING}
    for secret in sorted({url, target, parts.path} - {"", "/"} | long, key=len, reverse=True):
        text = text.replace(secret, SECRET)
    return text


def redact(text: str) -> str:
    """`text` with every URL in it redacted, and authorization values and `whsec_` secrets hidden."""
    text = _USER.sub(lambda match: f"{match.group(1)}{SECRET}@", text)
    text = _URL.sub(lambda match: redact_url(match.group().rstrip(_STOPS)) + _stops(match.group()), text)
    text = _BARE_QUERY.sub(_shown_query, text)
    text = _WHSEC.sub(SECRET, text)
    text = _HEADER.sub(lambda match: match.group(1) + SECRET, text)
    return _SCHEME.sub(lambda match: f"{match.group(1)} {SECRET}", text)


def _shown_query(match: re.Match[str]) -> str:
    """Return a query string without its secrets, and what is none as it was."""
    found = match.group()
    return _query(found.rstrip(_STOPS)[1:]) + _stops(found) if "=" in found else found


def _stops(found: str) -> str:
    """The punctuation at the end of a match."""
    return found[len(found.rstrip(_STOPS)) :]
