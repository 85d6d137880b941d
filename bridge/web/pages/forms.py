"""Form parsing, and fixed confirmation messages, for pages that change something."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.exceptions import HTTPException

from bridge.domain.printable import storable

FORM = "application/x-www-form-urlencoded"
_FIELDS = 50
LONGEST_NAME, LONGEST_NOTE = 200, 1000

# A URL carries a key of this mapping, never the text, so that a link cannot inject a message.
CONFIRMATIONS = {
    "approve": "Request approved. It is sent when the other gates are open.",
    "release": "Request released. It is sent now, bypassing every gate.",
    "withdraw": "Request withdrawn. Nothing is sent, and its episode makes no further request.",
    "cancel": "The runs of this request are being cancelled.",
    "start-again": "The start call is made once more, unless the run is found.",
    "retry": "Deliveries that waited for their next attempt are being retried.",
    "redrive": "Dead deliveries are queued again.",
    "discard": "The deliveries were discarded.",
    "useful": "Feedback recorded: useful.",
    "false": "Feedback recorded: false.",
    "late": "Feedback recorded: late.",
    "create": "Request created.",
    "pause": "Requests are paused.",
    "resume": "The pause has ended.",
    "silence": "The silence was created.",
    "expire": "The silence has ended.",
    "reload": "The configuration was reloaded.",
}


async def form(request: Request) -> dict[str, str]:
    """Return the stripped fields of a form, the last value of each name. Raises HTTPException 400 or 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise HTTPException(415, f"send {FORM}")
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise HTTPException(400, f"not a valid form: {error}") from None
    values = {name: storable(given[-1].strip()) for name, given in fields.items()}
    for name, limit in (("by", LONGEST_NAME), ("note", LONGEST_NOTE), ("reason", LONGEST_NOTE)):
        if len(values.get(name, "")) > limit:
            raise HTTPException(400, f"{name}: at most {limit} characters")
    return values


def confirmation(key: str) -> str:
    """Return the message for a key; "" for an unknown key."""
    return CONFIRMATIONS.get(key, "")
