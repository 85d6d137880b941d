"""Help texts in which arguments are named as people type them, without types of Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand

from bridge.domain.printable import printable

Function = TypeVar("Function", bound=Callable[..., Any])


class PlainCommand(TyperCommand):
    """Command whose help names each argument by its metavar alone, and whose errors use no words of a library."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words after the command's name. Raises BadParameter with the text of the failed check alone."""
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            from pydantic import ValidationError

            if isinstance(error.__cause__, ValidationError):  # its own text begins with "Value error"
                cause = error.__cause__.errors()[0].get("ctx", {}).get("error")
                error.message = error.message if cause is None else printable(cause)
            raise

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the name of the command in its usage line."""
        arguments = [item for item in self.get_params(ctx) if item.param_type_name == "argument"]
        return [self.options_metavar or "", *map(_typed, arguments)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the arguments and the options with their descriptions."""
        parameters: list[Any] = self.get_params(ctx)
        arguments = [
            (item.metavar + _dots(item), item.help)
            for item in parameters
            if item.param_type_name == "argument" and not getattr(item, "hidden", False)
        ]
        options = [item.get_help_record(ctx) for item in parameters if item.param_type_name == "option"]
        for title, entries in (("Arguments", arguments), ("Options", list(filter(None, options)))):
            if entries:
                with formatter.section(title):
                    formatter.write_dl(entries)


class Commands(typer.Typer):
    """Group of such commands."""

    def command(self, *names: Any, **settings: Any) -> Callable[[Function], Function]:
        """Return the decorator that registers a command."""
        return super().command(*names, **{"cls": PlainCommand, **settings})


def _typed(argument: Any) -> str:
    """Return an argument as it is typed: NAME, [NAME], NAME... or [NAME]..."""
    name = argument.metavar if argument.required else f"[{argument.metavar}]"
    return name + _dots(argument)


def _dots(argument: Any) -> str:
    """Return the dots of an argument that repeats, "" for another one."""
    return "" if argument.nargs == 1 else "..."
