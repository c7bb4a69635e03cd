"""`filmgate providers`: what an account can speak, and what each provider can do."""

import asyncio
from typing import Annotated

import typer
from rich.table import Table

from app.cli.output import out
from app.providers.overview import HEADINGS, all_overviews, markdown_table


def providers(
    *, as_markdown: Annotated[bool, typer.Option("--markdown_table", help="As in the docs.")] = False
) -> None:
    """List every provider, from its code."""
    rows = asyncio.run(all_overviews())
    if as_markdown:
        print(markdown_table(rows), end="")
        return
    table = Table(box=None, header_style="bold")
    for heading in HEADINGS:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*(cell.strip("`") for cell in row.table_cells()))
    out.print(table)
