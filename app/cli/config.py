"""`filmgate config`: the configuration file, looked at or applied without a restart."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err, out
from app.cli.store_access import with_store
from app.components import Components
from app.configuration import applying
from app.configuration.toml_file import DeclaredConfiguration, load_file
from app.errors import SettingsInvalid
from app.settings import load_settings as load_settings

commands = typer.Typer(
    help="Check or apply the configuration file that FILMGATE_CONFIG names.", no_args_is_help=True
)
Place = Annotated[Path | None, typer.Argument(metavar="FILE", help="Instead of FILMGATE_CONFIG.")]


@commands.command()
def check(path: Place = None) -> None:
    """Read the file, and say in one line what can't work. Nothing of it is applied."""
    declared = _load_document(path)

    async def check_document(components: Components) -> list[str]:
        return await applying.check_configuration(components, declared)

    _print_warnings(with_store(check_document))
    counted = (len(declared.accounts), len(declared.routes), len(declared.keys), len(declared.prices))
    out.print("It can work: {} accounts, {} routes, {} keys, {} prices.".format(*counted))


@commands.command()
def apply(path: Place = None) -> None:
    """Bring the store to what the file says; running gateways notice within seconds."""
    declared = _load_document(path)

    async def apply_document(components: Components) -> applying.AppliedChanges:
        return await applying.apply_configuration(components, declared)

    done = with_store(apply_document)
    for line in done.changes:
        out.print(escape(line))
    if not done.changes:
        out.print("Nothing to change.")
    _print_warnings(done.warnings)


def _print_warnings(lines: list[str]) -> None:
    for line in lines:
        err.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)


def _load_document(path: Path | None) -> DeclaredConfiguration:
    path = path or load_settings().config
    if path is None:
        raise SettingsInvalid("FILMGATE_CONFIG: name a file, here or in that variable")
    return load_file(path, os.environ)
