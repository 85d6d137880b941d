"""Errors in PromQL, found without a server: promql-parser's verdict, with the place that it does not tell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import promql_parser

from bridge.domain.regex import PROMETHEUS, Regex
from bridge.domain.wording import near

MOST_NESTED = 800  # operators and brackets; the parser recurses without a limit: more are left to the server
MOST_WALKED = 200  # of an expression whose tree is walked
_GENERIC = re.compile(
    r"invalid promql query|unclosed left|unexpected end of input|unexpected character|no expression|bad number"
)
_UNKNOWN = re.compile(r"unknown function with name '(\w+)'")
_REGEX = re.compile(r"illegal regex for")
_TOKEN = re.compile(
    r"""(?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)|(?P<blank>\s+|\#[^\n]*)"""
    r"""|(?P<number>0[xX][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+|[a-z0-9]*[a-z])?)"""
    r"|(?P<name>[a-zA-Z_:][\w:.]*)|(?P<operator>=~|!~|==|!=|>=|<=|&&|\|\||.)",
    re.DOTALL,
)
_CLOSING = {"(": ")", "[": "]", "{": "}"}
# Ends that make a right beginning of an expression a whole one: first inside the innermost bracket, then behind it.
_INSIDE = ("", " x", " 1", "(x)", " (x) (x)", ' ="b"', ' "b"', " 5m", ' :"b"', " (a) x", 'a="b"', ",x", " x[5m]")
_BEHIND = ("", " (x)", " x")
_INSTEAD = {
    "=": "compare with ==", "&&": "write 'and'", "||": "write 'or'", "!": "write != or unless", ";": "remove it",
    "===": "compare with ==", "<>": "write !=",
}  # fmt: skip
_ELSEWHERE = {"median": "write quantile(0.5, ...)", "mean": "write avg(...)", "average": "write avg(...)"}
_TYPE = re.compile(r"expected type (\w+) in (.+), got (\w+)")
_TYPES = {"matrix": "a range such as x[5m]", "vector": "an instant vector", "scalar": "a number", "string": "a text"}
# What a slip in a function's name may have meant.
_FUNCTIONS = frozenset(
    {
        "abs", "absent", "absent_over_time", "avg", "avg_over_time", "ceil", "changes", "clamp", "clamp_max",
        "clamp_min", "count", "count_over_time", "count_values", "day_of_week", "delta", "deriv", "exp",
        "first_over_time", "floor", "group", "histogram_avg", "histogram_count", "histogram_fraction",
        "histogram_quantile", "histogram_stddev", "histogram_sum", "hour", "idelta", "increase", "irate",
        "label_join", "label_replace", "last_over_time", "ln", "log10", "log2", "mad_over_time", "max",
        "max_over_time", "min", "min_over_time", "minute", "month", "predict_linear", "present_over_time",
        "quantile", "quantile_over_time", "rate", "resets", "round", "scalar", "sgn", "sort", "sort_desc",
        "sqrt", "stddev", "stddev_over_time", "stdvar", "sum", "sum_over_time", "time", "timestamp", "topk",
        "bottomk", "vector", "year",
    }
)  # fmt: skip
_SCALAR = promql_parser.ValueType.Scalar
# Prometheus 2 has it, the parser has not.
promql_parser.register_extra_functions(
    [
        promql_parser.Function(
            "holt_winters", [promql_parser.ValueType.Matrix, _SCALAR, _SCALAR], promql_parser.ValueType.Vector
        )
    ]
)


@dataclass(frozen=True, slots=True)
class PromqlError:
    """Error in an expression. offset: index of the character where it is."""

    offset: int
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Token:
    """Token of an expression. kind: text, blank, number, name or operator. begin: index of its first character."""

    kind: str
    text: str
    begin: int

    @property
    def end(self) -> int:
        """Index of the first character after it."""
        return self.begin + len(self.text)


@lru_cache(maxsize=4096)
def promql_error(text: str) -> PromqlError | None:
    """Return the error of an expression, None without one; what cannot be decided here has none."""
    tokens = [token for token in tokens_of(text) if token.kind != "blank"]
    if _nested(tokens) > MOST_NESTED:
        return None
    known = _as_known(text, tokens)
    message = _refusal(known)
    if _REGEX.match(message):
        wrong = next(_wrong_regexes(tokens), None)
        if wrong is not None:
            return wrong
        known = _without_regexes(known, tokens)
        message = _refusal(known)
    if not message:
        return _metricsql(tokens)
    return _located(known, message, tokens)


def parsed(text: str) -> promql_parser.Expr | None:
    """Return the syntax tree of an expression, None where the parser has none."""
    tokens = [token for token in tokens_of(text) if token.kind != "blank"]
    if _nested(tokens) > MOST_WALKED:
        return None
    known = _as_known(text, tokens)
    for candidate in (known, _without_regexes(known, tokens)):
        try:
            return promql_parser.parse(candidate)
        except ValueError:
            continue
    return None


def tokens_of(text: str) -> Iterator[Token]:
    """Yield the tokens of an expression, blanks and comments among them."""
    for match in _TOKEN.finditer(text):
        yield Token(match.lastgroup or "", match.group(), match.start())


def _nested(tokens: list[Token]) -> int:
    """Return an upper bound for the depth of the tree."""
    flat = {",", "{", "}", "]", ")", "=~", "!~", "="}
    return sum(
        (token.kind == "operator" and token.text not in flat) or token.text.lower() in _BINARY for token in tokens
    )


def _refusal(text: str) -> str:
    """Return the parser's message; "" if it accepts the text."""
    try:
        promql_parser.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def _as_known(text: str, tokens: list[Token]) -> str:
    """Return the expression as long as before, with what newer and older Prometheus have written as the parser has it.

    Digits may be grouped by `_`; `smoothed` and `anchored` follow a selector; `holt_winters` was renamed.
    """
    for before, token in zip([None, *tokens], tokens, strict=False):
        new = token.text
        if token.kind == "number" and "_" in new:
            new = new.replace("_", "").ljust(len(new))
        elif token.kind == "text" and new[0] == "`":  # has no escapes; the parser reads them all the same
            new = new.replace("\\", "a")
        elif token.text in {"smoothed", "anchored"}:  # the parser has no such modifiers, nor metrics of that name
            modifier = before is not None and _ends_operand(before)
            new = " " * len(new) if modifier else f"{new[:-1]}_"
        if new != token.text:
            text = text[: token.begin] + new + text[token.end :]
    return text


def _ends_operand(token: Token) -> bool:
    return token.text in {")", "]", "}"} or (token.kind == "name" and token.text.lower() not in _WORDS)


_BINARY = frozenset({"and", "or", "unless", "atan2"})
_WORDS = _BINARY | frozenset({"by", "without", "on", "ignoring", "bool", "offset"})


def _wrong_regexes(tokens: list[Token]) -> Iterator[PromqlError]:
    for before, token in _regexes(tokens):
        try:
            Regex(token.text[1:-1] if token.text[0] == "`" else _unescaped(token.text[1:-1]), PROMETHEUS)
        except ValueError as error:
            yield PromqlError(token.begin, f"{before.text}{token.text}: {error}")


def _regexes(tokens: list[Token]) -> Iterator[tuple[Token, Token]]:
    for before, token in pairwise(tokens):
        if token.kind == "text" and before.text in {"=~", "!~"}:
            yield before, token


def _unescaped(text: str) -> str:
    return re.sub(r"\\([\\\"'])", r"\1", text)


def _without_regexes(text: str, tokens: list[Token]) -> str:
    """Return the expression as long as before, with a plain word for each regular expression: RE2 accepts more."""
    for _, token in _regexes(tokens):
        if any(not char.isalnum() for char in token.text[1:-1]) and token.text[1:-1] not in {".*", ".+"}:
            word = "a" * (len(token.text) - 2)
            text = f"{text[: token.begin + 1]}{word}{text[token.end - 1 :]}"
    return text


def _metricsql(tokens: list[Token]) -> PromqlError | None:
    """Return the error for what the parser accepts and Prometheus refuses: alternatives in a selector."""
    depth = 0
    for token in tokens:
        depth += {"{": 1, "}": -1}.get(token.text, 0)
        if depth and token.kind == "name" and token.text.lower() == "or" and _is_alternative(tokens, token):
            hint = "a selector of Prometheus must not contain 'or'; write two selectors, joined by 'or'"
            return PromqlError(token.begin, "unexpected 'or' in a selector", hint)
    return None


def _is_alternative(tokens: list[Token], token: Token) -> bool:
    index = tokens.index(token)
    return index > 0 and tokens[index - 1].kind == "text"


def _located(text: str, message: str, tokens: list[Token]) -> PromqlError:
    if unknown := _UNKNOWN.search(message):
        name = unknown[1]
        begin = next((token.begin for token in tokens if token.text == name), 0)
        return PromqlError(begin, f"unknown function {name!r}", _ELSEWHERE.get(name) or near(name, _FUNCTIONS))
    if _GENERIC.search(message):
        return _misplaced(text, tokens)
    begin = _smallest(text, message, tokens)
    if typed := _TYPE.search(message):
        wanted, where, given = typed.groups()
        where = where.removeprefix("call to ")
        return PromqlError(begin, f"{where} needs {_TYPES.get(wanted, wanted)}, not {_TYPES.get(given, given)}")
    return PromqlError(begin, message)


def _misplaced(text: str, tokens: list[Token]) -> PromqlError:
    """Return the error for the first token that no expression has at this place."""
    low, high = 0, len(tokens)  # the first `low` tokens begin an expression; the first `high` do not, or are all
    while low < high:
        middle = (low + high + 1) // 2
        if _begins_expression(text, tokens[:middle]):
            low = middle
        else:
            high = middle - 1
    if low == len(tokens):
        last = tokens[-1] if tokens else Token("", "", 0)
        hint = "write 5 % as 0.05" if last.text == "%" else ""
        return PromqlError(last.begin, f"the expression ends too early, after {last.text!r}", hint)
    token = tokens[low]
    hint = _INSTEAD.get(token.text, "")
    if not hint and low and tokens[low - 1].kind == "name" and token.text == "(":
        hint = f"{tokens[low - 1].text!r} is not a function"
    return PromqlError(token.begin, f"unexpected {token.text!r} in the expression", hint)


def _begins_expression(text: str, tokens: list[Token]) -> bool:
    begin = text[: tokens[-1].end] if tokens else ""
    opened: list[str] = []
    for token in tokens:
        if token.text in _CLOSING:
            opened.append(_CLOSING[token.text])
        elif opened and token.text == opened[-1]:
            opened.pop()
    first, rest = "".join(opened[-1:]), "".join(reversed(opened[:-1]))
    return any(
        not _GENERIC.search(_refusal(f"{begin}{inside}{first}{behind}{rest}"))
        for inside in _INSIDE
        for behind in _BEHIND
    )


def _smallest(text: str, message: str, tokens: list[Token]) -> int:
    """Return where the smallest call, selector or bracketed part begins that alone gives the same message."""
    parts = sorted(_parts(tokens), key=lambda part: part[1] - part[0])
    same: Callable[[tuple[int, int]], bool] = lambda part: _refusal(text[part[0] : part[1]]) == message  # noqa: E731
    return next((begin for begin, end in parts if same((begin, end))), tokens[0].begin if tokens else 0)


def _parts(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Yield begin and end of every bracketed part, without and with the name before and the range behind it."""
    opened: list[int] = []
    for index, token in enumerate(tokens):
        if token.text in {"(", "{"}:
            opened.append(index)
        elif token.text in {")", "}"} and opened:
            first = opened.pop()
            yield tokens[first].begin, token.end
            if first and tokens[first - 1].kind == "name":
                yield tokens[first - 1].begin, token.end
            if token.text == ")" and first + 1 < index:
                yield tokens[first + 1].begin, tokens[index - 1].end
