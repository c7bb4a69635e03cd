"""`filmgate restore`: first what a backup would change, then, with --yes, done."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.backup import backup as backups
from app.backup.holdings import Change
from app.backup.places import download, is_address, read_file
from app.cli.backup import Headers, PassphraseEnv, read_headers, read_passphrase
from app.cli.opened import with_store
from app.cli.output import err, out, table
from app.parts import Parts

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

    async def work(parts: Parts) -> list[Change]:
        if is_address(place):
            document = await download(parts.guard, place, headers=headers)
        else:
            document = read_file(Path(place))
        changes = await backups.plan(parts.held, document, passphrase=passphrase)
        return await backups.apply(parts.held, changes) if yes else changes

    _report(with_store(work), yes=yes)


def _report(changes: list[Change], *, yes: bool) -> None:
    found = table("WHAT", "NAME", "RESULT", "WHY")
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
