"""`filmgate admin`: the people of the panel, for who can reach the store but not the panel."""

import sys
from typing import Annotated

import typer
from rich.markup import escape

from app.admin.admins import FIXED_NAME, AdminBook
from app.admin.audit import AuditLog
from app.admin.passwords import Passwords
from app.cli.opened import with_store
from app.cli.output import err, moment, out, table
from app.errors import InvalidRequest
from app.parts import Parts

commands = typer.Typer(help="The panel's admins: a first link, a forgotten password.", no_args_is_help=True)
ACTOR = "command line"
"""Who it was, in the audit log."""


@commands.command("setup-link")
def setup_link() -> None:
    """Print a link that makes the first owner: good once, for 30 minutes."""

    async def work(parts: Parts) -> str:
        return await _book(parts).setup_link(parts.settings.own_address)

    print(with_store(work))


@commands.command("reset-password")
def reset_password(name: Annotated[str, typer.Argument(help="From `filmgate admin list`.")]) -> None:
    """Give an admin a new password, asked for or read from a pipe, and end the sessions of the old one.

    Where nobody has that name, an owner of that name is made.
    """
    password = _password()

    async def work(parts: Parts) -> str:
        if parts.settings.admin_password is not None and name == FIXED_NAME:
            raise InvalidRequest(
                f"The password of {FIXED_NAME} is set by FILMGATE_ADMIN_PASSWORD; change it there."
            )
        admin = await _book(parts).reset(ACTOR, name, password=password)
        return f"{admin.name} ({admin.role}) has a new password."

    out.print(escape(with_store(work)))


@commands.command("list")
def show_all() -> None:
    """Every admin of the panel, oldest first."""

    async def work(parts: Parts) -> None:
        found = table("NAME", "ROLE", "MADE")
        for admin in await _book(parts).list():
            found.add_row(escape(admin.name), admin.role, moment(admin.created_at))
        if found.row_count:
            out.print(found)
        else:
            err.print("No admin yet. `filmgate admin setup-link` prints a link to become the first.")

    with_store(work)


def _book(parts: Parts) -> AdminBook:
    audit = AuditLog(parts.database)
    return AdminBook(parts.database, parts.vault, audit=audit, passwords=Passwords())


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    return str(typer.prompt("New password", hide_input=True, confirmation_prompt=True))
