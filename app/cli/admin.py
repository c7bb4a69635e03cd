"""`filmgate admin`: the admins of the panel, changed in the store directly: first link, forgotten password."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from app.admin.admin_repository import FIXED_NAME, AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.passwords import PasswordHashing
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest

commands = typer.Typer(
    help="Print a setup link, reset a password, list the panel's admins.", no_args_is_help=True
)
ACTOR = "command line"
"""The actor in the audit log."""


@commands.command("setup-link")
def print_setup_link() -> None:
    """Print a link to create the first owner. It works once, within 30 minutes."""

    async def create_link(components: Components) -> str:
        return await _admin_repository(components).setup_link(components.settings.own_address)

    print(with_store(create_link))


@commands.command("reset-password")
def reset_password(name: Annotated[str, typer.Argument(help="From `filmgate admin list`.")]) -> None:
    """Set a new password, asked for or read from a pipe, and end all sessions of that admin.

    If there is no admin of that name, an owner is created.
    """
    password = _read_password()

    async def set_password(components: Components) -> str:
        if components.settings.admin_password is not None and name == FIXED_NAME:
            raise InvalidRequest(
                f"The password of {FIXED_NAME} is set by FILMGATE_ADMIN_PASSWORD; change it there."
            )
        admin = await _admin_repository(components).reset_password(ACTOR, name, password=password)
        return f"{admin.name} ({admin.role}) has a new password."

    out.print(escape(with_store(set_password)))


@commands.command("list")
def list_admins() -> None:
    """List the admins of the panel, oldest first."""

    async def print_admins(components: Components) -> None:
        table = plain_table("NAME", "ROLE", "CREATED")
        for admin in await _admin_repository(components).list():
            table.add_row(escape(admin.name), admin.role, local_time(admin.created_at))
        if table.row_count:
            out.print(table)
        else:
            err.print("No admins yet. `filmgate admin setup-link` prints a link to create the first one.")

    with_store(print_admins)


def _admin_repository(components: Components) -> AdminRepository:
    audit = AuditLog(components.database)
    return AdminRepository(components.database, components.vault, audit=audit, passwords=PasswordHashing())


def _read_password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
