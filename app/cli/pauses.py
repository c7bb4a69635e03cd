"""`filmgate models pause` and `filmgate accounts pause`, and what ends them."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.admin import ACTOR
from app.cli.output import out
from app.cli.store_access import with_store
from app.components import Components

Account = Annotated[str, typer.Argument(metavar="NAME", help="The name of the account, or its ID.")]
Model = Annotated[str, typer.Argument(metavar="MODEL", help="The name as clients send it.")]
Note = Annotated[str, typer.Option(help="Why, for yourself.")]


def pause_account(name: Account, *, note: Note = "") -> None:
    """Send nothing new to an account: its tasks wait, those under way go on."""

    async def pause(components: Components) -> None:
        found = await components.accounts.find(name)
        await components.catalog.pauses.pause("account", found.account.id, by=ACTOR, note=note)

    with_store(pause)
    out.print(f"Paused {escape(name)}.")


def resume_account(name: Account) -> None:
    """End the pause of an account."""

    async def resume(components: Components) -> None:
        found = await components.accounts.find(name)
        await components.catalog.pauses.resume("account", found.account.id)

    with_store(resume)
    out.print(f"{escape(name)} goes on.")


def pause_model(model: Model, *, note: Note = "") -> None:
    """Send no task of a model to anybody: they wait, those under way go on."""
    with_store(lambda components: components.catalog.pauses.pause("model", model, by=ACTOR, note=note))
    out.print(f"Paused {escape(model)}.")


def resume_model(model: Model) -> None:
    """End the pause of a model."""
    with_store(lambda components: components.catalog.pauses.resume("model", model))
    out.print(f"{escape(model)} goes on.")
