"""Output of the command line: results go to stdout, everything else to stderr, an error is one line."""

import sys
import time

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from app.errors import FilmgateError, InvalidRequest, SettingsInvalid

PIPE_WIDTH = 200
"""Columns of a table that is written to a pipe, wide enough that `grep` finds whole rows."""

out = Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def print_error(error: FilmgateError) -> int:
    """Print an error as one line and return the exit code: 2 for a setting or an argument, else 1."""
    line = " ".join(error.message.split())
    if isinstance(error, InvalidRequest) and error.param and error.param not in line:
        line = f"{error.param}: {line}"
    err.print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)
    return 2 if isinstance(error, SettingsInvalid | InvalidRequest) else 1


def plain_table(*columns: str) -> Table:
    """A table with a heading and without lines."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def local_time(seconds: float | None) -> str:
    """UTC seconds as local time."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
