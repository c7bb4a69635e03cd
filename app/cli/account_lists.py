"""`filmgate accounts import` and `export`: many accounts at once, from and to a list."""

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.accounts.listing import as_csv, as_json, exported, read_rows
from app.accounts.transfer import Result, apply, plan
from app.cli.opened import with_store
from app.cli.output import err, out, table
from app.errors import InvalidRequest
from app.parts import Parts

__all__ = ["bring_in", "exported", "write_out"]
COLOURS = {"would_add": "green", "would_update": "green", "added": "green", "updated": "green"}


class Form(StrEnum):
    """How a list is written."""

    JSON = "json"
    CSV = "csv"
    LINES = "lines"


def bring_in(
    place: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON, CSV or one API key per line; - is stdin.")
    ],
    *,
    form: Annotated[Form | None, typer.Option(help="Found out from the file unless said.")] = None,
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
    rows = read_rows(_text(place), form=form.value if form else None, defaults=defaults)

    async def work(parts: Parts) -> list[Result]:
        planned = await plan(parts.pool, rows, update=update)
        return planned if dry_run else await apply(parts.pool, planned, skip_bad=skip_bad)

    results = with_store(work)
    found = table("ROW", "NAME", "RESULT", "WHY")
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


def write_out(
    *,
    form: Annotated[Form, typer.Option(help="json or csv.")] = Form.JSON,
    with_secrets: Annotated[bool, typer.Option("--with-secrets", help="API keys in the clear, too.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask whether you mean it.")] = False,
) -> None:
    """Print every account as a list that `import` reads."""
    if form is Form.LINES:
        raise InvalidRequest("--form: json or csv")
    if with_secrets and not yes:
        _confirm()

    async def work(parts: Parts) -> list[dict[str, Any]]:
        kept = [each for each in await parts.book.all() if not parts.pool.is_embedded(each.account.id)]
        return exported(kept, secrets=with_secrets)

    documents = with_store(work)
    print(as_csv(documents) if form is Form.CSV else as_json(documents), end="")


def _confirm() -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest("--with-secrets: say --yes too, as nobody is here to be asked")
    typer.confirm("Print every API key in the clear?", abort=True, err=True)


def _text(place: str) -> str:
    try:
        return sys.stdin.read() if place == "-" else Path(place).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidRequest(f"{place} can't be read: {error}") from error
