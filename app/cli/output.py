"""Output of the command line: results go to stdout, everything else to stderr, an error is one line."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.errors import FilmgateError, InvalidRequest, SettingsInvalid

PIPE_WIDTH = 200
"""Columns of a table that is written to a pipe, wide enough that `grep` finds whole rows."""


@dataclass
class PrintedDocument:
    """What a command has printed: the rows of its tables by their headings, and its other lines."""

    rows: list[dict[str, str]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def add(self, printed: Any) -> None:
        if isinstance(printed, Table):
            self.rows += table_rows(printed)
        else:
            self.lines += [line for line in plain_text(printed).splitlines() if line.strip()]

    def as_json(self) -> str:
        return json.dumps({"rows": self.rows, "lines": self.lines}, ensure_ascii=False, indent=2)


class ResultConsole(Console):
    """Stdout. While it is collected, nothing is printed: `--json` writes a document in its place."""

    _document: PrintedDocument | None = None

    def print(self, *objects: Any, **options: Any) -> None:
        if self._document is None:
            super().print(*objects, **options)
            return
        for each in objects:
            self._document.add(each)

    @contextmanager
    def collected(self) -> Iterator[PrintedDocument]:
        self._document = document = PrintedDocument()
        try:
            yield document
        finally:
            self._document = None


def plain_text(printed: Any) -> str:
    """Without colours."""
    return Text.from_markup(printed).plain if isinstance(printed, str) else str(printed)


def table_rows(table: Table) -> list[dict[str, str]]:
    """Named as their headings are; a table without headings has names and values, and for more its columns' numbers."""
    headings = [plain_text(column.header).lower().replace(" ", "_") for column in table.columns]
    unnamed = ["name", "value"] if len(headings) == 2 else [str(number) for number in range(len(headings))]
    names = [heading or unnamed[number] for number, heading in enumerate(headings)]
    columns = [[plain_text(cell) for cell in column.cells] for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


out = ResultConsole(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)
err = Console(stderr=True, highlight=False)


def print_error(error: FilmgateError) -> int:
    """Print an error as one line and return the exit code: 2 for a setting or an argument, else 1."""
    line = " ".join(error.message.split())
    if isinstance(error, InvalidRequest) and error.param and error.param not in line:
        line = f"{error.param}: {line}"
    err.print(f"[bold red]error:[/] {escape(line)}", soft_wrap=True)
    return 2 if isinstance(error, SettingsInvalid | InvalidRequest) else 1


def print_usage_error(text: str, command: str | None) -> int:
    """One line for an argument that is not understood; the exit code."""
    hint = f" See `{command} --help`." if command else ""
    err.print(f"[bold red]error:[/] {escape(' '.join(text.split()))}{escape(hint)}", soft_wrap=True)
    return 2 if command else 1


def plain_table(*columns: str) -> Table:
    """A table with a heading and without lines."""
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def local_time(seconds: float | None) -> str:
    """UTC seconds as local time."""
    return "" if seconds is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
