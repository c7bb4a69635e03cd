"""`filmgate notices`: who is told of what goes wrong, and a test message to each."""

from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.sender import AttemptOutcome

commands = typer.Typer(
    help="List the receivers of operator notices, and send them a test.", no_args_is_help=True
)


@commands.command("list")
def list_receivers() -> None:
    """List who is told of what goes wrong."""
    table = plain_table("NAME", "KIND", "TOPICS", "")
    receivers = with_store(lambda components: components.options.read(NoticeOptions)).receivers
    for each in receivers:
        topics = str(len(each.topics))
        table.add_row(escape(each.name), each.kind, topics, "" if each.enabled else "off")
    if not receivers:
        err.print("Nobody is told. Add receivers in the panel: Settings, Operator notices.")
        return
    out.print(table)


@commands.command("test")
def send_test(
    name: Annotated[
        str | None, typer.Argument(help="The receiver's name; all that are enabled if left out.")
    ] = None,
) -> None:
    """Send a test message. Exit code 1 if a receiver did not take it, or if there is none."""

    async def send(components: Components) -> list[tuple[str, AttemptOutcome]]:
        return await components.notices.send_samples(name)

    sent = with_store(send)
    for receiver, outcome in sent:
        verdict = "[green]sent[/]" if outcome.is_delivered else "[red]refused[/]"
        said = outcome.error or f"HTTP {outcome.status}"
        out.print(f"{escape(receiver)}: {verdict}{'' if outcome.is_delivered else f', {escape(said)}'}")
    if not sent:
        err.print("Nobody is told. Add receivers in the panel: Settings, Operator notices.")
    if not sent or not all(outcome.is_delivered for _, outcome in sent):
        raise typer.Exit(1)
