"""`filmgate replay`: failed tasks again, all that match, each once for a batch."""

import time
from typing import Annotated

import typer
from rich.markup import escape

from app.admin.audit_log import AuditLog
from app.admin.task_search import TaskSearch, TaskSearchFilter
from app.cli.admin import ACTOR
from app.cli.output import err, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.tasks.replay import BATCH_NAME, ReplayOutcome, ReplayParts, replay_failed

HOUR_SECONDS = 3600.0
MOST = 100_000


def replay_failed_tasks(
    *,
    batch: Annotated[
        str, typer.Option(help="A name of your own: the same one again makes nothing twice, and goes on.")
    ],
    hours: Annotated[float, typer.Option(min=0.01, help="Created in so many hours back.")] = 24.0,
    model: Annotated[str | None, typer.Option(help="Only of this model.")] = None,
    key: Annotated[str | None, typer.Option(metavar="ID", help="Only of this client key.")] = None,
    account: Annotated[str | None, typer.Option(metavar="ID", help="Only what this account failed.")] = None,
    error: Annotated[str | None, typer.Option(metavar="CODE", help="Only with this error's code.")] = None,
    most: Annotated[int, typer.Option(min=1, max=MOST, help="At most so many.")] = 1000,
) -> None:
    """Make failed tasks again, the newest first; each of them pays again. What holds money is left out."""
    if not BATCH_NAME.fullmatch(batch):
        raise InvalidRequest("--batch: at most 64 letters, digits, dots, lines and underscores")
    since = time.time() - hours * HOUR_SECONDS
    wanted = TaskSearchFilter(
        states=("failed",), model=model, key=key, account=account, error=error, since=since
    )

    async def replay(components: Components) -> ReplayOutcome:
        parts = ReplayParts(components.database, components.tasks, components.keys, components.store)
        found = TaskSearch(components.database).find_all(wanted, most=MOST)
        outcome = await replay_failed(parts, found, batch=batch, most=most)
        audit = AuditLog(components.database)
        after = {"batch": batch, "ids": list(outcome.made.values())}
        await audit.record_alone(ACTOR, "tasks.replayed", "tasks", after=after)
        return outcome

    outcome = with_store(replay)
    table = plain_table("TASK", "AGAIN AS", "REFUSED")
    for old, new in outcome.made.items():
        table.add_row(old, new, "")
    for old, refusal in outcome.refused.items():
        table.add_row(old, "", escape(refusal.message))
    if table.row_count:
        out.print(table)
    err.print(
        f"{len(outcome.made)} made again, {outcome.repeated} were before, {len(outcome.refused)} refused, "
        f"{len(outcome.held)} hold money" + ("; more are left: run it again." if outcome.left else ".")
    )
