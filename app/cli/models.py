"""`filmgate models`: what the files of models say, compared with what upstreams publish."""

from itertools import groupby
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.model_check import ModelReport, check_models
from app.catalog.retirements import NamedModel, find_retirements, today
from app.cli.output import err, out, plain_table
from app.cli.pauses import pause_model, resume_model
from app.cli.store_access import with_store
from app.components import Components
from app.errors import NotFound

commands = typer.Typer(
    help="Compare what is known of models with their upstreams; pause and resume them.", no_args_is_help=True
)
commands.command("pause")(pause_model)
commands.command("resume")(resume_model)


@commands.callback()
def describe_group() -> None:
    """Compare what is known of models with their upstreams; pause and resume them."""


@commands.command("check")
def compare_models(
    account: Annotated[str | None, typer.Argument(help="Only this account.")] = None,
    *,
    patch: Annotated[bool, typer.Option("--patch", help="Print only the lines for the files.")] = False,
) -> None:
    """Ask upstreams what the models that accounts and routes name take, and print what the files say otherwise.

    Costs nothing. Exit code 1 when something differs."""

    async def compare(components: Components) -> list[ModelReport]:
        named = await components.catalog.named_models()
        wanted = [each for each in named if account in (None, each.account.name, each.account.id)]
        if account is not None and not wanted:
            raise NotFound(f"No account {account} names a model.")
        return await _reports_of(components, wanted)

    reports = with_store(compare)
    differing = [report for report in reports if report.differences]
    if not patch:
        _print_reports(reports)
    for provider, group in groupby(
        sorted(differing, key=lambda report: report.named.account.provider),
        key=lambda report: report.named.account.provider,
    ):
        print(f"# app/catalog/models/{provider}.toml, as published on {today()}")
        blocks = dict.fromkeys(report.as_toml() for report in group)
        print("\n\n".join(blocks), end="\n\n")
    if differing or any(report.problem for report in reports):
        raise typer.Exit(1)


async def _reports_of(components: Components, named: list[NamedModel]) -> list[ModelReport]:
    by_account: dict[str, dict[str, NamedModel]] = {}
    for each in named:
        by_account.setdefault(each.account.id, {}).setdefault(each.model, each)
    reports: list[ModelReport] = []
    for models in by_account.values():
        account = next(iter(models.values())).account
        reports += await check_models(components.pool.provider_for(account), models.values())
    return reports


def _print_reports(reports: list[ModelReport]) -> None:
    if not reports:
        err.print("No account and no route names a model.")
        return
    table = plain_table("ACCOUNT", "MODEL", "FIELD", "FILE", "UPSTREAM")
    for report in reports:
        for row in _rows_of(report):
            table.add_row(escape(report.named.account.name), escape(report.named.model), *row)
    out.print(table)
    now = today()
    for retirement in find_retirements([report.named for report in reports]):
        err.print(f"[yellow]{escape(retirement.as_text(now))}[/]")


def _rows_of(report: ModelReport) -> list[tuple[str, str, str]]:
    if report.problem:
        return [("", "", f"[red]{escape(report.problem)}[/]")]
    if not report.differences:
        return [("", "", "[green]the same[/]" if report.published else "publishes nothing")]
    return [(each.field, _shown(each.ours), _shown(each.theirs)) for each in report.differences]


def _shown(value: Any) -> str:
    if value is None:
        return "–"
    return escape(", ".join(map(str, value)) if isinstance(value, list | dict) else str(value))
