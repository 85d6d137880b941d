"""What pages that act share: a form as it is sent, and what was done, in words that are ours alone."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import Request
from starlette.exceptions import HTTPException

FORM = "application/x-www-form-urlencoded"
_FIELDS = 50
LONGEST_NAME, LONGEST_NOTE = 200, 1000

# The address of the page that one comes to holds a key of these, never a text: nobody can put words into a link.
DONE = {
    "approve": "The request is approved. It is sent when the other gates are open.",
    "release": "The request is released: it is sent now, past every gate.",
    "withdraw": "The request is withdrawn: nothing is sent, and its episode asks no more.",
    "retry": "What waited for a retry is tried now.",
    "redrive": "What was given up is queued again.",
    "create": "The request is made.",
    "pause": "The pause is recorded.",
    "resume": "The pause has ended.",
    "reload": "The configuration was read again and is in force.",
}


async def form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name, without blanks at their ends. HTTPException 400 or 415."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != FORM:
        raise HTTPException(415, f"send {FORM}")
    try:
        fields = parse_qs((await request.body()).decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError as error:
        raise HTTPException(400, f"this is not a form: {error}") from None
    found = {name: values[-1].strip() for name, values in fields.items()}
    for name, limit in (("by", LONGEST_NAME), ("note", LONGEST_NOTE), ("reason", LONGEST_NOTE)):
        if len(found.get(name, "")) > limit:
            raise HTTPException(400, f"{name}: at most {limit} characters")
    return found


def done(key: str) -> str:
    """What to tell people; "" for a key that is not ours."""
    return DONE.get(key, "")
