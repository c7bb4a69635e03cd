"""`filmgate config`: the configuration file, looked at or applied without a restart."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.opened import with_store
from app.cli.output import err, out
from app.configuration import applying
from app.configuration.document import Declared, load
from app.errors import SettingsInvalid
from app.parts import Parts
from app.settings import load as load_settings

commands = typer.Typer(
    help="Check or apply the configuration file that FILMGATE_CONFIG names.", no_args_is_help=True
)
Place = Annotated[Path | None, typer.Argument(metavar="FILE", help="Instead of FILMGATE_CONFIG.")]


@commands.command()
def check(path: Place = None) -> None:
    """Read the file, and say in one line what can't work. Nothing of it is applied."""
    declared = _load(path)

    async def work(parts: Parts) -> list[str]:
        return await applying.check(parts, declared)

    _doubt(with_store(work))
    counted = (len(declared.accounts), len(declared.routes), len(declared.keys), len(declared.prices))
    out.print("It can work: {} accounts, {} routes, {} keys, {} prices.".format(*counted))


@commands.command()
def apply(path: Place = None) -> None:
    """Bring the store to what the file says; running gateways notice within seconds."""
    declared = _load(path)

    async def work(parts: Parts) -> applying.Applied:
        return await applying.apply(parts, declared)

    done = with_store(work)
    for line in done.changes:
        out.print(escape(line))
    if not done.changes:
        out.print("Nothing to change.")
    _doubt(done.doubts)


def _doubt(lines: list[str]) -> None:
    for line in lines:
        err.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)


def _load(path: Path | None) -> Declared:
    path = path or load_settings().config
    if path is None:
        raise SettingsInvalid("FILMGATE_CONFIG: name a file, here or in that variable")
    return load(path, os.environ)
