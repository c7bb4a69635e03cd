"""`filmgate providers` and `filmgate openapi`: reference documents, printed from the code."""

import asyncio
import json
from typing import Annotated

import typer

from app.catalog.wish_overview import all_wish_overviews, wish_table
from app.cli.output import out, plain_table
from app.main import create_app
from app.providers.overview import HEADINGS, all_overviews, markdown_table
from app.settings import load_settings


def list_providers(
    *,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="The tables of docs/providers.md.")] = False,
) -> None:
    """List every provider and what it supports."""
    rows = asyncio.run(all_overviews())
    if as_markdown:
        print(markdown_table(rows), wish_table(asyncio.run(all_wish_overviews())), sep="\n", end="")
        return
    table = plain_table(*HEADINGS)
    for row in rows:
        table.add_row(*row.table_cells())
    out.print(table)


def print_openapi() -> None:
    """Print openapi.json, the description of every endpoint."""
    print(json.dumps(create_app(load_settings()).client_api().openapi(), ensure_ascii=False, indent=2))
