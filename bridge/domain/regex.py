"""Regular expressions of users and servers, matched by RE2: linear time, the syntax of Go."""

from __future__ import annotations

import re
from dataclasses import dataclass

import re2

LONGEST = 64 * 1024
MOST_CLASSES = 256  # Unicode classes such as \pL; RE2 reads each as a table of hundreds of ranges
_SHOWN = 100
# RE2 supports \C (one byte), Go does not. Text between \Q and \E is literal.
_PIECE = re.compile(r"\\Q.*?(?:\\E|\Z)|\\.", re.DOTALL)
# RE2 takes quadratic time to compile a chain of optional pieces: each leads to all that follow it.
_MOST_OPTIONAL = 1000
_MEMORY_OF_OPTIONAL = 1 << 15
_COUNTS = re.compile(r"\{(\d{1,4})(?:,(\d{0,4}))?\}")


@dataclass(frozen=True, slots=True)
class Dialect:
    """Regular expression flavour of a program.

    dot_all: True if the dot matches line ends.
    memory: limit for one compiled expression, in bytes.
    """

    dot_all: bool
    memory: int


ALERTMANAGER = Dialect(dot_all=False, memory=1 << 17)
# Only for selectors of the API: anyone may send one, so their memory is limited further.
PROMETHEUS = Dialect(dot_all=True, memory=1 << 16)


class Regex:
    """Compiled regular expression that matches whole strings. Raises ValueError if the expression is invalid.

    RE2 has the limits of Go: no count above 1000, no look-around, no backreferences. The length is limited here.
    """

    __slots__ = ("_compiled",)

    def __init__(self, text: str, dialect: Dialect = ALERTMANAGER) -> None:
        if len(text) > LONGEST:
            raise ValueError(f"not a regular expression: it has {len(text)} characters; write at most {LONGEST}")
        if "\\C" in _PIECE.findall(text):
            raise ValueError(r"not a regular expression: \C is not supported; write (?s:.) for any character")
        if text.count("\\p") + text.count("\\P") > MOST_CLASSES:
            raise ValueError(f"not a regular expression: it has more than {MOST_CLASSES} Unicode classes such as \\pL")
        options = limited(text, dialect)
        options.never_capture = True
        try:
            self._compiled = re2.compile(text, options)
        except (re2.error, UnicodeEncodeError) as error:
            raise ValueError(f"not a regular expression: {_reason(error)}") from None
        finally:
            re2.purge()  # RE2 would cache the last 128 expressions

    def matches(self, value: str) -> bool:
        """Return whether the whole value matches."""
        return self._compiled.fullmatch(value.encode("utf-8", "replace")) is not None


def limited(text: str, dialect: Dialect) -> re2.Options:
    """Return options that limit the time and the memory to compile an expression."""
    options = re2.Options()
    options.log_errors, options.dot_nl, options.max_mem = False, dialect.dot_all, dialect.memory
    counts = [max(map(int, filter(None, pair))) for pair in _COUNTS.findall(text)]
    if (text.count("?") + text.count("*") + len(counts)) * max(counts, default=1) > _MOST_OPTIONAL:
        options.max_mem = min(dialect.memory, _MEMORY_OF_OPTIONAL)
    return options


def _reason(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "it contains half of a surrogate pair"
    detail = error.args[0]
    text = detail.decode("utf-8", "replace") if isinstance(detail, bytes) else str(detail)
    if text.startswith("pattern too large"):
        return "it is too large; write fewer repetitions or alternatives"
    return text[:_SHOWN]
