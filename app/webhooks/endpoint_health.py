"""Whether what is sent to an endpoint arrives: how many calls have failed since one last did. A row is there while they fail."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.db.connection import AsyncConnection
from app.db.operator_tables import endpoint_failures
from app.db.session import INSERTS
from app.db.tables import webhook_endpoints
from app.webhooks.sender import AttemptOutcome

CERTAIN_CALLS = 3
"""So many calls in a row make an endpoint one that fails; fewer may be a receiver that is starting again."""
_table, _failures = webhook_endpoints.c, endpoint_failures.c
WITH_FAILURES = sa.select(
    webhook_endpoints, _failures.calls, _failures.since, _failures.status, _failures.error
).select_from(webhook_endpoints.outerjoin(endpoint_failures, _failures.endpoint_id == _table.id))
"""Endpoints with what ``failure_of`` reads."""
WORST_FIRST = sa.func.coalesce(_failures.calls, 0).desc()


@dataclass(frozen=True, slots=True)
class EndpointFailure:
    """``calls`` have failed in a row since ``since`` (UTC seconds); ``status`` and ``error`` are those of the last one."""

    since: float
    calls: int
    status: int | None
    error: str | None


async def note_call(
    connection: AsyncConnection, endpoint_id: str | None, outcome: AttemptOutcome, *, now: float
) -> None:
    """Call it before anything else of the transaction locks a delivery: who removes an endpoint does so in this order."""
    if endpoint_id is None:
        return
    if outcome.is_delivered:
        await forget_failures(connection, endpoint_id)
        return
    last = {"status": outcome.status, "error": outcome.error}
    first = INSERTS[connection.dialect.name](endpoint_failures)
    raised = {"calls": _failures.calls + 1} | {name: first.excluded[name] for name in last}
    failed = first.on_conflict_do_update(index_elements=["endpoint_id"], set_=raised)
    await connection.execute(failed, {"endpoint_id": endpoint_id, "calls": 1, "since": now, **last})


async def forget_failures(connection: AsyncConnection, *endpoint_ids: str) -> None:
    """A call has arrived, or the endpoint is another one now."""
    await connection.execute(sa.delete(endpoint_failures).where(_failures.endpoint_id.in_(endpoint_ids)))


def failure_of(row: Any) -> EndpointFailure | None:
    """None: its last call arrived, or none was made."""
    return EndpointFailure(row.since, row.calls, row.status, row.error) if row.calls else None


async def failing_endpoints(connection: AsyncConnection) -> tuple[int, str | None]:
    """How many enabled endpoints fail for certain, and the name of the one with the most failed calls."""
    certain = _table.enabled, _failures.calls >= CERTAIN_CALLS
    joined = webhook_endpoints.join(endpoint_failures, _failures.endpoint_id == _table.id)
    worst = (
        sa.select(_table.name, sa.func.count().over().label("failing")).select_from(joined).where(*certain)
    )
    row = (await connection.execute(worst.order_by(_failures.calls.desc(), _table.id).limit(1))).first()
    return (row.failing, row.name) if row else (0, None)
