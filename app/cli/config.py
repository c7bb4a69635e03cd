"""`filmgate config`: checks the configuration file, or applies it without a restart."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err, out
from app.cli.store_access import with_store
from app.configuration import applying
from app.configuration.freeing import free_declared_rows
from app.configuration.toml_file import DeclaredConfiguration, load_file
from app.errors import SettingsInvalid
from app.settings import load_settings

commands = typer.Typer(
    help="Check or apply the configuration file that FILMGATE_CONFIG names, or free what it declared.",
    no_args_is_help=True,
)
ConfigFile = Annotated[Path | None, typer.Argument(metavar="FILE", help="Instead of FILMGATE_CONFIG.")]


@commands.command("check")
def check_file(path: ConfigFile = None) -> None:
    """Check the file and report the first error. Nothing is applied."""
    declared = _load_document(path)
    _print_warnings(with_store(lambda components: applying.check_configuration(components, declared)))
    counted = (len(declared.accounts), len(declared.routes), len(declared.keys), len(declared.prices))
    out.print("The file is valid: {} accounts, {} routes, {} keys, {} prices.".format(*counted))


@commands.command("apply")
def apply_file(path: ConfigFile = None) -> None:
    """Apply the file to the store. Running gateways notice within seconds."""
    declared = _load_document(path)
    applied = with_store(lambda components: applying.apply_configuration(components, declared))
    for line in applied.changes:
        out.print(escape(line))
    if not applied.changes:
        out.print("Nothing to change.")
    _print_warnings(applied.warnings)


@commands.command("release")
def release_rows() -> None:
    """Free what files have declared: it stays as it is, and can be changed by the command line and in the panel."""
    freed = with_store(free_declared_rows)
    for line in freed:
        out.print(escape(line))
    if not freed:
        out.print("Nothing is declared by a file.")


def _print_warnings(lines: list[str]) -> None:
    for line in lines:
        err.print(f"[yellow]{escape(line)}[/]", soft_wrap=True)


def _load_document(path: Path | None) -> DeclaredConfiguration:
    path = path or load_settings().config
    if path is None:
        raise SettingsInvalid("FILMGATE_CONFIG: name a file, as an argument or in that variable")
    return load_file(path, os.environ)
