"""`filmgate keys statement`: what a key bought in a month or in any days, as CSV or PDF."""

import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.usage.money_options import MoneyOptions
from app.usage.statement_files import read_form, read_language, statement_file
from app.usage.statements import make_statement, read_statement_span


def print_statement(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="From `filmgate keys list`.")],
    *,
    month: Annotated[str | None, typer.Option(metavar="MONTH", help="Like 2026-11; else this month.")] = None,
    since: Annotated[str | None, typer.Option("--from", metavar="DAY", help="The first day.")] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="DAY", help="The last day.")] = None,
    zone: Annotated[str, typer.Option(help="The time zone of the days, like Asia/Shanghai.")] = "UTC",
    lang: Annotated[str, typer.Option(help="en or zh.")] = "en",
    costs: Annotated[
        bool, typer.Option("--costs", help="Also what vendors charge, and the margin: for you alone.")
    ] = False,
    output: Annotated[
        Path | None, typer.Option(help="Write to this file: PDF if its name ends so, else CSV.")
    ] = None,
) -> None:
    """Write the statement of a key, whose sums are those of the ledger. Without --output, CSV goes to stdout."""
    form, language = (
        read_form(output.suffix.lower().removeprefix(".") if output else "csv"),
        read_language(lang),
    )
    given = {"month": month, "from": since, "to": until, "zone": zone}

    async def draw(components: Components) -> bytes:
        now = time.time()
        span = read_statement_span(given, key_id, now=now)
        key = await components.keys.get(key_id)
        statement = await make_statement(components.money.reports, key, span, now=now)
        money = await components.options.read_if_possible(MoneyOptions)
        return await statement_file(statement, form, language, currency=money.currency, with_costs=costs)

    content = with_store(draw)
    if output is None:
        sys.stdout.buffer.write(content)
        return
    try:
        output.write_bytes(content)
    except OSError as error:
        raise InvalidRequest(f"--output: {output} can't be written: {error.strerror}") from None
    err.print(f"Wrote {escape(str(output))}.")
