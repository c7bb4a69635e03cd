"""`filmgate accounts import` and `export`: many accounts at once, from and to a list."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.accounts.bulk_import import ImportResult, apply_import, plan_import
from app.accounts.formats import as_csv, as_json, export_documents, read_rows
from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest

__all__ = ["export_accounts", "export_documents", "import_accounts"]
COLOURS = {"would_add": "green", "would_update": "green", "added": "green", "updated": "green"}


class ListFormat(StrEnum):
    """How a list is written."""

    JSON = "json"
    CSV = "csv"
    LINES = "lines"


def import_accounts(
    place: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON, CSV or one API key per line; - is stdin.")
    ],
    *,
    form: Annotated[ListFormat | None, typer.Option(help="Found out from the file unless said.")] = None,
    provider: Annotated[str | None, typer.Option(help="For rows that don't say it.")] = None,
    base_url: Annotated[str | None, typer.Option(help="For rows that don't say it.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Add the good rows although others are bad.")
    ] = False,
    update: Annotated[bool, typer.Option("--update", help="Change accounts whose name is taken.")] = False,
) -> None:
    """Add accounts from a list. One bad row, and nothing is added, unless you say --skip-bad."""
    defaults = {"provider": provider or "openai_compatible"} | ({"base_url": base_url} if base_url else {})
    rows = read_rows(_read_text(place), form=form.value if form else None, defaults=defaults)

    async def import_rows(components: Components) -> list[ImportResult]:
        planned = await plan_import(components.pool, rows, update=update)
        return planned if dry_run else await apply_import(components.pool, planned, skip_bad=skip_bad)

    results = with_store(import_rows)
    found = plain_table("ROW", "NAME", "RESULT", "WHY")
    for each in results:
        colour = COLOURS.get(each.outcome, "red")
        why = (
            f"{each.param}: {each.text}" if each.param and not each.text.startswith(each.param) else each.text
        )
        word = each.outcome.replace("_", " ")
        found.add_row(str(each.row), escape(each.name), f"[{colour}]{word}[/]", escape(why))
    out.print(found)
    bad = [each for each in results if each.outcome not in COLOURS and each.outcome != "left_out"]
    if bad:
        hint = "" if skip_bad or dry_run else " Nothing was added; --skip-bad adds the others."
        err.print(f"[red]{len(bad)} of {len(results)} rows are bad.[/]{hint}")
    if bad and not skip_bad:
        raise typer.Exit(1)


def export_accounts(
    *,
    form: Annotated[ListFormat, typer.Option(help="json or csv.")] = ListFormat.JSON,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help="API keys in the clear, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask whether you mean it.")] = False,
) -> None:
    """Print every account as a list that `import` reads."""
    if form is ListFormat.LINES:
        raise InvalidRequest("--form: json or csv")
    if with_secrets and not yes:
        _confirm_secrets()

    async def collect_documents(components: Components) -> list[dict[str, Any]]:
        kept = [
            each
            for each in await components.accounts.list_all()
            if not components.pool.is_embedded(each.account.id)
        ]
        return export_documents(kept, secrets=with_secrets)

    documents = with_store(collect_documents)
    print(as_csv(documents) if form is ListFormat.CSV else as_json(documents), end="")


def _confirm_secrets() -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest("--with-secrets: say --yes too, as nobody is here to be asked")
    typer.confirm("Print every API key in the clear?", abort=True, err=True)


def _read_text(place: str) -> str:
    try:
        return sys.stdin.read() if place == "-" else Path(place).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{place} can't be read: {error}") from error
