"""`--json` on every command that prints: its rows and lines as one JSON document."""

import contextlib
import io
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from app.cli.output import out

PARAMETER = "json_document"
WITHOUT_JSON = {
    "demo": "it serves until it is stopped",
    "serve": "it serves until it is stopped",
    "worker": "it works until it is stopped",
    "openapi": "it prints JSON in any case",
    "receipt keys": "it prints JSON in any case",
    "backup": "the document that it prints is JSON",
    "accounts export": "--form says what it prints",
    "routes set": "its --json is a file that it reads",
}
"""Commands without this option, and why."""


def json_option() -> Any:
    """The option, as typer makes it of a parameter."""

    def take_option(
        json_document: Annotated[
            bool, typer.Option("--json", help="Print JSON: the rows of the table, and the lines.")
        ] = False,
    ) -> None:
        """Only its parameter is used."""

    single = typer.Typer(add_completion=False)
    single.command()(take_option)
    return typer.main.get_command(single).params[0]


class PrintingCommand(TyperCommand):
    """A command with `--json`, where it has no option of that name itself."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.has_own = any("--json" in parameter.opts for parameter in self.params)
        if not self.has_own:
            self.params.append(json_option())

    def invoke(self, ctx: Any) -> Any:
        if not ctx.params.pop(PARAMETER, False):
            return super().invoke(ctx)
        printed = io.StringIO()
        with out.collected() as document:
            try:
                with contextlib.redirect_stdout(printed):
                    return super().invoke(ctx)
            finally:
                document.lines += printed.getvalue().splitlines()
                print(document.as_json())


def class_of(command: str) -> type[TyperCommand]:
    """Of a command by its words, like ``keys list``."""
    return TyperCommand if command in WITHOUT_JSON else PrintingCommand
