"""`filmgate doctor`: looks at everything a gateway stands on, and says what to do."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

import typer
from rich.markup import escape

from app.cli import examination
from app.cli.examination import CheckResult
from app.cli.output import out, plain_table
from app.settings import Settings, load_settings

SIGNS = {"ok": "[green]✓ ok[/]", "warn": "[yellow]! warn[/]", "fail": "[red]✗ fail[/]"}


def doctor() -> None:
    """Check settings, data, database, accounts, books, store, Redis, port and clock. Exit code 1 when one fails."""
    findings = asyncio.run(_run_checks(load_settings()))
    found = plain_table("", "", "")
    found.show_header = False
    for finding in findings:
        found.add_row(SIGNS[finding.outcome], f"[bold]{finding.name}[/]", escape(finding.text))
        if finding.advice:
            found.add_row("", "", f"[dim]→ {escape(finding.advice)}[/]")
    out.print(found)
    if any(finding.outcome == "fail" for finding in findings):
        raise typer.Exit(1)


async def _run_checks(settings: Settings) -> list[CheckResult]:
    async with aclosing(_check_results(settings)) as findings:
        return [finding async for finding in findings]


async def _check_results(settings: Settings) -> AsyncGenerator[CheckResult, None]:
    yield examination.check_data_dir(settings)
    yield examination.check_disk(settings)
    yield examination.check_secret_key(settings)
    async with examination.open_database(settings) as (database, finding):
        yield finding
        if database is not None:
            yield await examination.check_clock(database)
            yield await examination.check_accounts(settings, database)
            yield await examination.check_ledger(database)
    yield await examination.check_store(settings)
    yield await examination.check_redis(settings)
    yield await examination.check_port(settings)
