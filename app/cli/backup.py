"""`filmgate backup` and `filmgate restore`: the operator's configuration as one file or at an address."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.backup import archive
from app.backup.places import as_text, download_backup, is_address, read_file, upload_backup, write_file
from app.backup.sections import RestoreChange
from app.backup.whole_restore import is_whole_backup
from app.cli.arguments import read_variable
from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.cli.whole_backups import restore_everything, save_everything
from app.components import Components
from app.errors import InvalidRequest

FROM_ENVIRONMENT = "env:"
COLOURS = {"new": "green", "added": "green", "changed": "yellow", "updated": "yellow", "error": "red"}
Headers = Annotated[
    list[str] | None,
    typer.Option(
        "--header", help="'Name: value' for the address; env:VARIABLE takes the value from there; repeatable."
    ),
]
PassphraseEnv = Annotated[
    str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the passphrase for secrets.")
]


def save_backup(
    *,
    to: Annotated[str, typer.Option(metavar="FILE|URL", help="Where to save it; - is stdout.")] = "-",
    with_secrets: Annotated[
        bool,
        typer.Option(
            "--with-secrets", help="Include secrets, sealed with the passphrase or else with the root key."
        ),
    ] = False,
    passphrase_env: PassphraseEnv = None,
    header: Headers = None,
    method: Annotated[str, typer.Option(help="For an address: PUT or POST.")] = "PUT",
    everything: Annotated[
        bool,
        typer.Option(
            "--everything",
            help="All rows, the films and the sealed root key as one tar file, while the gateway runs.",
        ),
    ] = False,
) -> None:
    """Save accounts, routes, prices, keys, webhook endpoints and settings. Tasks and files only with --everything."""
    if everything:
        save_everything(to, passphrase=read_passphrase(passphrase_env))
        return
    if method.upper() not in ("PUT", "POST"):
        raise InvalidRequest("--method: PUT or POST")
    headers, passphrase = read_headers(header), read_passphrase(passphrase_env)

    async def write_backup(components: Components) -> dict[str, Any]:
        document = await archive.make_backup(
            components.backup_sources, secrets=with_secrets, passphrase=passphrase
        )
        if is_address(to):
            await upload_backup(components.guard, to, document, method=method.upper(), headers=headers)
        elif to != "-":
            await asyncio.to_thread(write_file, Path(to), document)
        return document

    document = with_store(write_backup)
    if to == "-":
        print(as_text(document), end="")
    counted = ", ".join(f"{len(document[section.name])} {section.name}" for section in archive.SECTIONS)
    sealed_with = document["secrets"]["sealed_with"].replace("_", " ")
    err.print(f"Saved {escape(counted)}; secrets: {sealed_with}.")


def restore_backup(
    place: Annotated[str, typer.Argument(metavar="FILE|URL", help="The backup.")],
    *,
    yes: Annotated[
        bool, typer.Option("--yes", help="Apply the changes; without it nothing is written.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Of a whole backup: delete the rows that are there first.")
    ] = False,
    passphrase_env: PassphraseEnv = None,
    header: Headers = None,
) -> None:
    """Show what a backup would change here, and with --yes apply it. Everything that it does not contain stays.

    A whole backup (made with --everything) is checked to the last byte and goes into an empty store.
    """
    headers, passphrase = read_headers(header), read_passphrase(passphrase_env)
    if not is_address(place) and is_whole_backup(Path(place)):
        restore_everything(Path(place), passphrase=passphrase, yes=yes, replace=replace)
        return

    async def plan_or_apply(components: Components) -> list[RestoreChange]:
        if is_address(place):
            document = await download_backup(components.guard, place, headers=headers)
        else:
            document = read_file(Path(place))
        changes = await archive.plan_restore(components.backup_sources, document, passphrase=passphrase)
        return await archive.apply_changes(components.backup_sources, changes) if yes else changes

    _print_changes(with_store(plan_or_apply), yes=yes)


def _print_changes(changes: list[RestoreChange], *, yes: bool) -> None:
    table = plain_table("WHAT", "NAME", "RESULT", "WHY")
    for change in changes:
        colour = COLOURS.get(change.result, "dim")
        result = f"[{colour}]{change.result}[/]"
        table.add_row(change.thing, escape(change.name), result, escape(change.message))
    if changes:
        out.print(table)
    counted = Counter(change.result for change in changes)
    if not yes and counted["new"] + counted["changed"]:
        err.print("Nothing was written. Add --yes to apply these changes.")
    if counted["error"]:
        err.print(f"[red]{counted['error']} of {len(changes)} can't be restored.[/]")
        raise typer.Exit(1)


def read_headers(texts: list[str] | None) -> dict[str, str]:
    """HTTP headers from ``Name: value`` texts. Raises ``InvalidRequest``."""
    headers: dict[str, str] = {}
    for text in texts or []:
        name, colon, value = text.partition(":")
        value = value.strip()
        if value.startswith(FROM_ENVIRONMENT):
            value = read_variable(value.removeprefix(FROM_ENVIRONMENT), option="--header")
        if not colon or not name.strip().isascii() or not (value.isascii() and value.isprintable()):
            raise InvalidRequest("--header: must be like 'X-Master-Key: value' or 'X-Master-Key: env:NAME'")
        headers[name.strip()] = value
    return headers


def read_passphrase(variable: str | None) -> str:
    """The passphrase in an environment variable; empty when none is named."""
    return read_variable(variable, option="--passphrase-env") if variable else ""
