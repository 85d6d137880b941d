"""Lexer of Go templates: text and the tokens of actions, with byte offsets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from bridge.templates.errors import TemplateError

SPACES = " \t\r\n"
KEYWORDS = frozenset(
    {"block", "break", "continue", "define", "else", "end", "if", "range", "nil", "template", "with"}
)  # fmt: skip
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?|0[oO][0-7_]*(?:\.[0-7_]*)?"
    r"|0[bB][01_]*(?:\.[01_]*)?|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)"
)
_OPENING = re.compile(r"\{\{(-[ \t\r\n])?")


class Kind(Enum):
    """Kinds of tokens."""

    TEXT = auto()
    LEFT = auto()
    RIGHT = auto()
    SPACE = auto()
    IDENTIFIER = auto()
    KEYWORD = auto()
    BOOL = auto()
    FIELD = auto()
    VARIABLE = auto()
    DOT = auto()
    NUMBER = auto()
    STRING = auto()
    RAW_STRING = auto()
    CHAR_CONSTANT = auto()
    CHAR = auto()
    DECLARE = auto()
    ASSIGN = auto()
    PIPE = auto()
    LEFT_PAREN = auto()
    RIGHT_PAREN = auto()
    EOF = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """One token. position: offset in characters from the start of the template."""

    kind: Kind
    text: str
    position: int


class Lexer:
    """Splits a template into tokens. Each step moves forward: linear time.

    name: of the template, for messages.
    """

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._text = text
        self._at = 0
        self._depth = 0
        self._tokens: list[Token] = []

    def tokens(self) -> list[Token]:
        """Return all tokens, the last of them EOF. Raises TemplateError."""
        trim = False
        while True:
            trim = self._lex_text(trim=trim)
            if self._at >= len(self._text):
                break
        self._emit(Kind.EOF, "", self._at)
        return self._tokens

    def line(self, position: int) -> int:
        """Return the line number of an offset, from 1."""
        return self._text.count("\n", 0, position) + 1

    def _emit(self, kind: Kind, text: str, position: int) -> None:
        self._tokens.append(Token(kind, text, position))

    def _fail(self, message: str) -> TemplateError:
        return TemplateError(f"template: {self._name}:{self.line(self._at)}: {message}")

    def _lex_text(self, *, trim: bool) -> bool:
        """Lex text up to and with the next action; return whether the text behind it is trimmed on its left."""
        text, start = self._text, self._at
        opening = _OPENING.search(text, start)
        end = len(text) if opening is None else opening.start()
        plain, begin = text[start:end], start
        if trim:
            shorter = plain.lstrip(SPACES)
            begin, plain = begin + len(plain) - len(shorter), shorter
        if opening is not None and opening[1]:
            plain = plain.rstrip(SPACES)
        if plain:
            self._emit(Kind.TEXT, plain, begin)
        self._at = end
        if opening is None:
            return False
        after = opening.end()
        if text.startswith("/*", after):
            return self._skip_comment(after)
        self._emit(Kind.LEFT, "{{", end)
        self._at = end + 2 + (1 if opening[1] else 0)
        self._depth = 0
        return self._lex_action()

    def _skip_comment(self, start: int) -> bool:
        end = self._text.find("*/", start + 2)
        if end < 0:
            raise self._fail("unclosed comment")
        self._at = end + 2
        closing = re.compile(r"([ \t\r\n]-)?\}\}").match(self._text, self._at)
        if closing is None:
            raise self._fail("comment ends before closing delimiter")
        self._at = closing.end()
        return closing[1] is not None

    def _lex_action(self) -> bool:
        """Lex the inside of an action; return whether its right delimiter trims."""
        text = self._text
        while True:
            at = self._at
            if at >= len(text):
                raise self._fail("unclosed action")
            if (text[at] in SPACES and text.startswith("-}}", at + 1)) or text.startswith("}}", at):
                return self._lex_right(trimmed=text[at] in SPACES)
            self._lex_inside(text[at])

    def _lex_right(self, *, trimmed: bool) -> bool:
        if self._depth:
            raise self._fail("unclosed left paren")
        if trimmed:
            self._at += 2
        self._emit(Kind.RIGHT, "}}", self._at)
        self._at += 2
        return trimmed

    def _lex_inside(self, char: str) -> None:
        text, at = self._text, self._at
        if char in SPACES:
            self._lex_spaces()
        elif text.startswith(":=", at):
            self._take(Kind.DECLARE, 2)
        elif char == ":":
            self._at += 1
            raise self._fail("expected :=")
        elif char in "\"`'":
            self._lex_quoted(char)
        elif char == "." and not text[at + 1 : at + 2].isdigit():
            self._lex_word(Kind.FIELD)
        elif char == "$":
            self._lex_word(Kind.VARIABLE)
        elif char in "+-." or (char.isdigit() and char.isascii()):
            self._lex_number()
        elif _is_word(char):
            self._lex_word(Kind.IDENTIFIER)
        else:
            self._lex_sign(char)

    def _lex_sign(self, char: str) -> None:
        signs = {"=": Kind.ASSIGN, "|": Kind.PIPE, "(": Kind.LEFT_PAREN, ")": Kind.RIGHT_PAREN}
        if char == ")" and not self._depth:
            self._at += 1
            raise self._fail("unexpected right paren U+0029 ')'")
        self._depth += {"(": 1, ")": -1}.get(char, 0)
        if char not in signs and not (char.isascii() and char.isprintable()):
            self._at += 1
            raise self._fail(f"unrecognized character in action: {show_rune(char)}")
        self._take(signs.get(char, Kind.CHAR), 1)

    def _take(self, kind: Kind, length: int) -> None:
        self._emit(kind, self._text[self._at : self._at + length], self._at)
        self._at += length

    def _lex_spaces(self) -> None:
        end = self._at
        while end < len(self._text) and self._text[end] in SPACES:
            if self._text.startswith("-}}", end + 1):  # the space belongs to the trim marker
                break
            end += 1
        self._take(Kind.SPACE, end - self._at)

    def _lex_quoted(self, quote: str) -> None:
        text, at = self._text, self._at
        names = {'"': "quoted string", "`": "raw quoted string", "'": "character constant"}
        end = at + 1
        while True:
            char = text[end : end + 1]
            if char == "\\" and quote != "`" and text[end + 1 : end + 2] not in {"", "\n"}:
                end += 2
                continue
            if char in {"", "\n"} and (char == "" or quote != "`"):
                raise self._fail(f"unterminated {names[quote]}")
            end += 1
            if char == quote:
                break
        kinds = {'"': Kind.STRING, "`": Kind.RAW_STRING, "'": Kind.CHAR_CONSTANT}
        self._take(kinds[quote], end - at)

    def _lex_word(self, kind: Kind) -> None:
        text, at = self._text, self._at
        end = at + (kind is not Kind.IDENTIFIER)
        while end < len(text) and _is_word(text[end]):
            end += 1
        word = text[at:end]
        if not self._at_terminator(end):
            self._at = end + 1
            raise self._fail(f"bad character {show_rune(text[end])}")
        if word == ".":
            kind = Kind.DOT
        elif word in KEYWORDS:
            kind = Kind.KEYWORD
        elif word in {"true", "false"}:
            kind = Kind.BOOL
        self._take(kind, end - at)

    def _at_terminator(self, at: int) -> bool:
        char = self._text[at : at + 1]
        return char == "" or char in " \t\r\n.,|:()" or self._text.startswith("}}", at)

    def _lex_number(self) -> None:
        text, at = self._text, self._at
        match = _NUMBER.match(text, at)
        end = at if match is None else match.end()
        if text[end : end + 1] == "i":
            end += 1
        if end == at or _is_word(text[end : end + 1]):
            shown = text[at : end + 1]
            raise self._fail(f'bad number syntax: "{shown}"')
        self._take(Kind.NUMBER, end - at)


def _is_word(char: str) -> bool:
    return char == "_" or char.isalnum()


def show_rune(char: str) -> str:
    """Return a character as Go's %#U prints it."""
    return f"U+{ord(char):04X} '{char}'" if char.isprintable() else f"U+{ord(char):04X}"
