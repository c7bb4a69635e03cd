"""`filmgate backup`: all that the operator has set, as one file or to an address."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.backup import archive as backups
from app.backup.places import as_text, is_address, upload_backup, write_file
from app.cli.output import err
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest

FROM_ENVIRONMENT = "env:"
Headers = Annotated[
    list[str] | None,
    typer.Option("--header", help="'Name: value' for the address, repeatable; env:VARIABLE as a value."),
]
PassphraseEnv = Annotated[
    str | None, typer.Option(metavar="VARIABLE", help="The variable that holds the passphrase for secrets.")
]


def backup(
    *,
    to: Annotated[str, typer.Option(metavar="FILE|URL", help="Where it goes; - is stdout.")] = "-",
    with_secrets: Annotated[
        bool,
        typer.Option("--with-secrets", help="Secrets too, sealed with the passphrase, else the root key."),
    ] = False,
    passphrase_env: PassphraseEnv = None,
    header: Headers = None,
    method: Annotated[str, typer.Option(help="For an address: PUT or POST.")] = "PUT",
) -> None:
    """Save accounts, routes, prices, keys, webhook endpoints and settings. Tasks and files are not in it."""
    if method.upper() not in ("PUT", "POST"):
        raise InvalidRequest("--method: PUT or POST")
    headers, passphrase = read_headers(header), read_passphrase(passphrase_env)

    async def write_backup(components: Components) -> dict[str, Any]:
        made = await backups.make_backup(
            components.backup_sources, secrets=with_secrets, passphrase=passphrase
        )
        if is_address(to):
            await upload_backup(components.guard, to, made, method=method.upper(), headers=headers)
        elif to != "-":
            await asyncio.to_thread(write_file, Path(to), made)
        return made

    made = with_store(write_backup)
    if to == "-":
        print(as_text(made), end="")
    counted = ", ".join(f"{len(made[section.name])} {section.name}" for section in backups.SECTIONS)
    err.print(f"Saved {escape(counted)}; secrets: {made['secrets']['sealed_with'].replace('_', ' ')}.")


def read_headers(given: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given or []:
        name, colon, value = text.partition(":")
        value = value.strip()
        if value.startswith(FROM_ENVIRONMENT):
            value = read_variable(value.removeprefix(FROM_ENVIRONMENT), option="--header")
        if not colon or not name.strip().isascii() or not (value.isascii() and value.isprintable()):
            raise InvalidRequest("--header: must be like 'X-Master-Key: value' or 'X-Master-Key: env:NAME'")
        found[name.strip()] = value
    return found


def read_passphrase(variable: str | None) -> str:
    return read_variable(variable, option="--passphrase-env") if variable else ""


def read_variable(name: str, *, option: str) -> str:
    value = os.environ.get(name, "")
    if not value:
        raise InvalidRequest(f"{option}: there is no variable {name} in this environment")
    return value
