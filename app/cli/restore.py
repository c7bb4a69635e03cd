"""`filmgate restore`: first what a backup would change, then, with --yes, done."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.backup import archive as backups
from app.backup.places import download_backup, is_address, read_file
from app.backup.sections import RestoreChange
from app.cli.backup import Headers, PassphraseEnv, read_headers, read_passphrase
from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.components import Components

COLOURS = {"new": "green", "added": "green", "changed": "yellow", "updated": "yellow", "error": "red"}


def restore(
    place: Annotated[str, typer.Argument(metavar="FILE|URL", help="A backup.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without this nothing is written.")] = False,
    passphrase_env: PassphraseEnv = None,
    header: Headers = None,
) -> None:
    """Say what a backup would change here, and with --yes do it. What is not in it stays as it is."""
    headers, passphrase = read_headers(header), read_passphrase(passphrase_env)

    async def plan_or_apply(components: Components) -> list[RestoreChange]:
        if is_address(place):
            document = await download_backup(components.guard, place, headers=headers)
        else:
            document = read_file(Path(place))
        changes = await backups.plan_restore(components.backup_sources, document, passphrase=passphrase)
        return await backups.apply_changes(components.backup_sources, changes) if yes else changes

    _print_changes(with_store(plan_or_apply), yes=yes)


def _print_changes(changes: list[RestoreChange], *, yes: bool) -> None:
    found = plain_table("WHAT", "NAME", "RESULT", "WHY")
    for each in changes:
        colour = COLOURS.get(each.result, "dim")
        found.add_row(each.thing, escape(each.name), f"[{colour}]{each.result}[/]", escape(each.message))
    if changes:
        out.print(found)
    counted = Counter(each.result for each in changes)
    if not yes and counted["new"] + counted["changed"]:
        err.print("Nothing was written. Add --yes to do it.")
    if counted["error"]:
        err.print(f"[red]{counted['error']} of {len(changes)} can't be restored.[/]")
        raise typer.Exit(1)
