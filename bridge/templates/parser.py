"""Parser of Go templates: tokens to a tree. Depth is bounded, so that no input exhausts the stack."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from bridge.templates.errors import TemplateError
from bridge.templates.lexer import Kind, Lexer, Token
from bridge.templates.literals import parse_number, unquote
from bridge.templates.nodes import (
    Action,
    Bool,
    Branch,
    Chain,
    Command,
    Dot,
    Field,
    Identifier,
    Invocation,
    Jump,
    Nil,
    Node,
    Number,
    Pipe,
    String,
    Text,
    Tree,
    Variable,
)

MAX_DEPTH = 60
_TERMS = frozenset(
    {
        Kind.BOOL, Kind.CHAR_CONSTANT, Kind.DOT, Kind.FIELD, Kind.IDENTIFIER, Kind.NUMBER, Kind.RAW_STRING, Kind.STRING,
        Kind.VARIABLE, Kind.LEFT_PAREN,
    }
)  # fmt: skip
_SHOWN = 10


def parse(name: str, text: str, functions: Collection[str]) -> Tree:
    """Return the tree of a template. Raises TemplateError.

    functions: names of those that are defined.
    """
    return _Parser(name, text, functions).tree()


class _Parser:
    def __init__(self, name: str, text: str, functions: Collection[str]) -> None:
        lexer = Lexer(name, text)
        self._tokens = lexer.tokens()
        self._line = lexer.line
        self._tree = Tree(name, text)
        self._functions = functions
        self._variables = ["$"]
        self._at = 0
        self._depth = 0
        self._loops = 0

    # ------------------------------------------------------------ tokens

    def _peek(self) -> Token:
        return self._tokens[min(self._at, len(self._tokens) - 1)]

    def _next(self) -> Token:
        token = self._peek()
        self._at += 1
        return token

    def _peek_solid(self) -> Token:
        """Skip spaces and return the next token without taking it."""
        while self._peek().kind is Kind.SPACE:
            self._at += 1
        return self._peek()

    def _next_solid(self) -> Token:
        self._peek_solid()
        return self._next()

    def _error(self, message: str) -> TemplateError:
        token = self._tokens[min(max(self._at - 1, 0), len(self._tokens) - 1)]
        return TemplateError(f"template: {self._tree.name}:{self._line(token.position)}: {message}")

    def _unexpected(self, token: Token, context: str) -> TemplateError:
        return self._error(f"unexpected {_shown(token)} in {context}")

    def _expect(self, kind: Kind, context: str) -> Token:
        token = self._next_solid()
        if token.kind is not kind:
            raise self._unexpected(token, context)
        return token

    def _is_keyword(self, token: Token, word: str) -> bool:
        return token.kind is Kind.KEYWORD and token.text == word

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._error(f"nested more than {MAX_DEPTH} deep")

    # ------------------------------------------------------------ lists

    def tree(self) -> Tree:
        """Parse the whole template."""
        body: list[Any] = []
        while self._peek().kind is not Kind.EOF:
            if self._peek().kind is Kind.LEFT and self._is_definition():
                self._definition()
                continue
            found = self._text_or_action()
            if isinstance(found, _End):
                raise self._error(f"unexpected {{{{{found.keyword}}}}}")
            body.append(found)
        self._tree.body = tuple(body)
        return self._tree

    def _is_definition(self) -> bool:
        ahead = self._at + 1
        while self._tokens[ahead].kind is Kind.SPACE:
            ahead += 1
        return self._is_keyword(self._tokens[ahead], "define")

    def _definition(self) -> None:
        self._next()
        self._next_solid()
        name = self._name("define clause")
        self._expect(Kind.RIGHT, "define clause")
        known, self._variables = self._variables, ["$"]
        body, end = self._list()
        if end.keyword != "end":
            raise self._error(f"unexpected {{{{{end.keyword}}}}} in define clause")
        self._variables = known
        self._tree.defined[name] = body

    def _name(self, context: str) -> str:
        token = self._next_solid()
        if token.kind not in {Kind.STRING, Kind.RAW_STRING}:
            raise self._unexpected(token, context)
        return self._unquoted(token)

    def _list(self) -> tuple[tuple[Any, ...], _End]:
        self._deeper()
        found: list[Any] = []
        while self._peek_solid().kind is not Kind.EOF:
            item = self._text_or_action()
            if isinstance(item, _End):
                self._depth -= 1
                return tuple(found), item
            found.append(item)
        self._at = len(self._tokens)
        raise self._error("unexpected EOF")

    def _text_or_action(self) -> Any:
        token = self._next_solid()
        if token.kind is Kind.TEXT:
            return Text(token.position, token.text)
        if token.kind is Kind.LEFT:
            return self._action()
        raise self._unexpected(token, "input")

    # ------------------------------------------------------------ actions

    def _action(self) -> Any:
        token = self._peek_solid()
        if token.kind is Kind.KEYWORD and token.text != "nil":
            self._next()
            return self._control(token)
        return Action(token.position, self._pipeline("command", Kind.RIGHT))

    def _control(self, token: Token) -> Any:
        word = token.text
        if word in {"if", "range", "with"}:
            return self._branch(token)
        if word in {"break", "continue"}:
            if self._expect_end_of_jump(word) and not self._loops:
                raise self._error(f"{{{{{word}}}}} outside {{{{range}}}}")
            return Jump(token.position, word)
        if word == "end":
            self._expect(Kind.RIGHT, "end")
            return _End("end")
        if word == "else":
            if not self._is_keyword(self._peek_solid(), "if"):
                self._expect(Kind.RIGHT, "else")
            return _End("else")
        if word in {"template", "block"}:
            return self._invocation(token)
        raise self._unexpected(token, "command")

    def _expect_end_of_jump(self, word: str) -> bool:
        token = self._next_solid()
        if token.kind is not Kind.RIGHT:
            raise self._unexpected(token, f"{{{{{word}}}}}")
        return True

    def _branch(self, token: Token) -> Branch:
        known, loop = len(self._variables), token.text == "range"
        self._deeper()
        pipe = self._pipeline(token.text, Kind.RIGHT)
        self._loops += loop
        body, end = self._list()
        self._loops -= loop
        otherwise: tuple[Any, ...] | None = None
        if end.keyword == "else":
            following = self._peek_solid()
            if self._is_keyword(following, "if"):
                if token.text != "if":
                    self._next()
                    raise self._unexpected(following, "input")
                self._next()
                otherwise = (self._branch(following),)
            else:
                otherwise, end = self._list()
                if end.keyword != "end":
                    raise self._error(f"expected end; found {{{{{end.keyword}}}}}")
        del self._variables[known:]
        self._depth -= 1
        return Branch(token.position, token.text, pipe, body, otherwise)

    def _invocation(self, token: Token) -> Invocation:
        context = f"{token.text} clause"
        position = self._peek_solid().position
        name = self._name(context)
        pipe = None
        if token.text == "block" or self._peek_solid().kind is not Kind.RIGHT:
            pipe = self._pipeline(context, Kind.RIGHT)
        else:
            self._next()
        if token.text == "block":
            known, self._variables = self._variables, ["$"]
            body, end = self._list()
            if end.keyword != "end":
                raise self._error(f"unexpected {{{{{end.keyword}}}}} in block clause")
            self._variables = known
            self._tree.defined.setdefault(name, body)
        return Invocation(position, name, pipe)

    # ------------------------------------------------------------ pipelines

    def _pipeline(self, context: str, end: Kind) -> Pipe:
        self._deeper()
        start = self._peek_solid().position
        declarations, assigns = self._declarations(context)
        commands: list[Command] = []
        while True:
            token = self._next_solid()
            if token.kind is end:
                break
            if token.kind not in _TERMS and not self._is_keyword(token, "nil"):
                raise self._unexpected(token, context)
            self._at -= 1
            commands.append(self._command())
        if not commands:
            raise self._error(f"missing value for {context}")
        for stage, command in enumerate(commands[1:], 2):
            if isinstance(command.args[0], Bool | Dot | Nil | Number | String):
                raise self._error(f"non executable command in pipeline stage {stage}")
        self._depth -= 1
        return Pipe(start, tuple(declarations), assigns, tuple(commands))

    def _declarations(self, context: str) -> tuple[list[Variable], bool]:
        found: list[Variable] = []
        while self._peek_solid().kind is Kind.VARIABLE:
            back, variable = self._at, self._next()
            following = self._peek_solid()
            if following.kind in {Kind.DECLARE, Kind.ASSIGN}:
                self._next()
                found.append(Variable(variable.position, (variable.text,)))
                self._variables += [item.names[0] for item in found]
                return found, following.kind is Kind.ASSIGN
            if not (following.kind is Kind.CHAR and following.text == ","):
                self._at = back
                return found, False
            self._next()
            found.append(Variable(variable.position, (variable.text,)))
            if context != "range" or len(found) > 1:
                raise self._error(f"too many declarations in {context}")
            if self._peek_solid().kind is not Kind.VARIABLE:
                raise self._error("range can only initialize variables")
        return found, False

    def _command(self) -> Command:
        start = self._peek_solid().position
        args: list[Node] = []
        while True:
            self._peek_solid()
            operand = self._operand()
            if operand is not None:
                args.append(operand)
            token = self._next()
            if token.kind is Kind.SPACE:
                continue
            if token.kind in {Kind.RIGHT, Kind.RIGHT_PAREN}:
                self._at -= 1
            elif token.kind is not Kind.PIPE:
                raise self._unexpected(token, "operand")
            break
        if not args:
            raise self._error("empty command")
        return Command(start, tuple(args))

    def _operand(self) -> Node | None:
        node = self._term()
        if node is None or self._peek().kind is not Kind.FIELD:
            return node
        position, names = self._peek().position, []
        while self._peek().kind is Kind.FIELD:
            names.append(self._next().text[1:])
        if isinstance(node, Field | Variable):
            return replace(node, position=position, names=(*node.names, *names))
        if isinstance(node, Bool | String | Number | Nil | Dot):
            raise self._error(f'unexpected . after term "{node}"')
        return Chain(position, node, tuple(names))

    def _term(self) -> Node | None:  # noqa: C901, PLR0911 - one for each kind of token
        token = self._next_solid()
        match token.kind:
            case Kind.IDENTIFIER:
                if token.text not in self._functions:
                    raise self._error(f'function "{token.text}" not defined')
                return Identifier(token.position, token.text)
            case Kind.DOT:
                return Dot(token.position)
            case Kind.VARIABLE:
                self._use(token.text)
                return Variable(token.position, (token.text,))
            case Kind.FIELD:
                return Field(token.position, (token.text[1:],))
            case Kind.BOOL:
                return Bool(token.position, token.text == "true")
            case Kind.LEFT_PAREN:
                return self._pipeline("parenthesized pipeline", Kind.RIGHT_PAREN)
            case Kind.STRING | Kind.RAW_STRING:
                return String(token.position, token.text, self._unquoted(token))
            case Kind.NUMBER | Kind.CHAR_CONSTANT:
                return self._number(token)
        if self._is_keyword(token, "nil"):
            return Nil(token.position)
        self._at -= 1
        return None

    def _use(self, name: str) -> None:
        if name not in self._variables:
            raise self._error(f'undefined variable "{name}"')

    def _unquoted(self, token: Token) -> str:
        try:
            return unquote(token.text)
        except ValueError:
            raise self._error("invalid syntax") from None

    def _number(self, token: Token) -> Number:
        try:
            as_int, as_float, floating = parse_number(token.text)
        except ValueError as error:
            raise self._error(str(error)) from None
        return Number(token.position, token.text, as_int, as_float, floating)


class _End:
    """The {{ end }} or {{ else }} that closes a list."""

    def __init__(self, keyword: str) -> None:
        self.keyword = keyword


def _shown(token: Token) -> str:
    if token.kind is Kind.EOF:
        return "EOF"
    if token.kind is Kind.KEYWORD:
        return f"<{token.text}>"
    text = token.text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{text[:_SHOWN]}"...' if len(token.text) > _SHOWN else f'"{text}"'
