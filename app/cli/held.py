"""`filmgate held`: money of tasks that ended without a film, and the operator's decision about it."""

from decimal import Decimal, InvalidOperation
from typing import Annotated

import typer
from rich.markup import escape

from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.db.tables import format_money
from app.dialects.registry import task_id_of
from app.errors import InvalidRequest, NotFound

commands = typer.Typer(
    help="List tasks whose money is held because they may have cost some, and settle them.",
    no_args_is_help=True,
)
MOST = 200


@commands.command("list")
def list_held() -> None:
    """List tasks whose money is held, the oldest first."""
    table = plain_table("ID", "ENDED", "MODEL", "KEY", "ERROR", "HELD")
    held = with_store(lambda components: components.money.billing.held_tasks(limit=MOST))
    for task in held:
        ended, amount = local_time(task["finished_at"]), f"${format_money(task['amount'])}"
        table.add_row(
            task["id"], ended, escape(task["model"]), task["key_id"], task["error_code"] or "", amount
        )
    if not held:
        err.print("Nothing is held.")
        return
    out.print(table)
    err.print(
        "[dim]See at the vendor whether it made them, then `filmgate held settle ID --charge USD` or `--release`.[/]"
    )


@commands.command("settle")
def settle_held(
    task_id: Annotated[str, typer.Argument(metavar="ID", help="The task id in any form.")],
    *,
    charge: Annotated[str, typer.Option(metavar="USD", help="What the task has cost.")] = "",
    release: Annotated[bool, typer.Option("--release", help="It has cost nothing.")] = False,
) -> None:
    """Charge a task whose money is held, or give the money back to its key."""
    known = task_id_of(task_id)
    if known is None:
        raise NotFound(f"No such task: {task_id[:100]}")
    if bool(charge) == release:
        raise InvalidRequest("Say either --charge USD or --release.")
    amount = None if release else _dollars(charge)
    with_store(lambda components: components.money.billing.settle_held(known, amount))
    out.print("Released." if amount is None else f"Charged ${format_money(amount)}.")


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidRequest("must be an amount like 0.11", param="charge") from None
    if not amount.is_finite():
        raise InvalidRequest("must be an amount like 0.11", param="charge")
    return amount
