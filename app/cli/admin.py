"""`filmgate admin`: the admins of the panel, changed in the store directly: first link, forgotten password."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from app.admin.admin_repository import FIXED_NAME, AdminRepository
from app.admin.audit_log import AuditLog
from app.admin.passwords import PasswordHashing
from app.admin.provider_admins import ProviderAdmins
from app.admin.second_factors import SecondFactors
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest

commands = typer.Typer(
    help="Print a setup link, reset a password or a second factor, list the panel's admins.",
    no_args_is_help=True,
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
        if not components.settings.password_sign_in:
            audit = AuditLog(components.database)
            await ProviderAdmins(components.database, audit=audit).allow_password(admin.name)
        hour = "" if components.settings.password_sign_in else " It works for an hour: passwords are off."
        factor = " The second factor is still asked for." if admin.second_factor else ""
        return f"{admin.name} ({admin.role}) has a new password.{hour}{factor}"

    out.print(escape(with_store(set_password)))


@commands.command("reset-totp")
def reset_totp(name: Annotated[str, typer.Argument(help="From `filmgate admin list`.")]) -> None:
    """Turn the second factor of an admin off, for a lost phone without recovery codes."""

    async def turn_off(components: Components) -> str:
        admin = await _admin_repository(components).named(name)
        audit = AuditLog(components.database)
        await SecondFactors(components.database, components.vault, audit=audit).turn_off(ACTOR, admin)
        return f"{admin.name} ({admin.role}) signs in without a second factor."

    out.print(escape(with_store(turn_off)))


@commands.command("list")
def list_admins() -> None:
    """List the admins of the panel, oldest first."""

    async def print_admins(components: Components) -> None:
        table = plain_table("NAME", "ROLE", "SECOND FACTOR", "CREATED")
        for admin in await _admin_repository(components).list():
            table.add_row(
                escape(admin.name),
                admin.role,
                "yes" if admin.second_factor else "no",
                local_time(admin.created_at),
            )
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
