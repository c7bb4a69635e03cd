"""`filmgate doctor`: looks at everything a gateway stands on, and says what to do."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import typer
from rich.markup import escape

from app.cli import examination
from app.cli.examination import Finding
from app.cli.output import out, table
from app.settings import Settings, load

SIGNS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[red]✗ fail[/]"}


def doctor() -> None:
    """Check settings, data, database, accounts, books, store, Redis, port and clock. Exit code 1 when one fails."""
    findings = asyncio.run(_examine(load()))
    found = table("", "", "")
    found.show_header = False
    for finding in findings:
        found.add_row(SIGNS[finding.sign], f"[bold]{finding.name}[/]", escape(finding.text))
        if finding.advice:
            found.add_row("", "", f"[dim]→ {escape(finding.advice)}[/]")
    out.print(found)
    if any(finding.sign == "fail" for finding in findings):
        raise typer.Exit(1)


async def _examine(settings: Settings) -> list[Finding]:
    async with aclosing(_findings(settings)) as findings:
        return [finding async for finding in findings]


async def _findings(settings: Settings) -> AsyncGenerator[Finding, None]:
    yield examination.data_dir(settings)
    yield examination.disk(settings)
    yield examination.secret_key(settings)
    async with examination.reached(settings) as (database, finding):
        yield finding
        if database is not None:
            yield await examination.clock(database)
            yield await examination.accounts(settings, database)
            yield await examination.books(database)
    yield await examination.store(settings)
    yield await examination.redis(settings)
    yield await examination.port(settings)
