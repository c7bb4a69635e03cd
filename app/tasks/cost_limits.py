"""The most that a vendor's own figures may charge a key for one task: a vendor that says ``credits: 5e6`` is not believed,
and a client that said ``max_cost`` pays no more than that.

The rest is not booked. The operator is told, and can book it once the vendor's bill says the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import structlog

from app.db.connection import AsyncConnection
from app.db.tables import format_money
from app.generation import GenerationRequest
from app.options import read_without_secrets
from app.tasks.task import add_timeline_row
from app.usage.attempt_charges import read_budgets
from app.usage.ledger import ReservationEnd
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.notices import OperatorNotice, insert_notices

log = structlog.get_logger()
MOST_TIMES_ESTIMATE = 3
"""Estimates come from the length, size and count that were asked for. Vendors round up, or make a film of another length
where none was asked for; three times as much is no rounding any more."""
MOST_UNESTIMATED = Decimal(100)
"""US dollars, for prices by units or tokens alone, which say nothing before the vendor does."""
MAX_COST = '"max_cost"'
"""In the JSON of a request that has one; unset fields are not written."""
TOPIC = "cost_limited"
TIMELINE_EVENT = "cost.limited"


@dataclass(frozen=True, slots=True)
class TaskCost:
    """A task's cost as the vendor's figures have it, with what is needed to judge it. ``estimate``: None where its price
    allows none. ``promised``: the most that its client said it will pay."""

    end: ReservationEnd
    key_id: str
    model: str
    account_id: str
    estimate: Decimal | None
    promised: Decimal | None = None
    project_id: str | None = None


def promised_bound(request: str, paid_before: Decimal | None) -> Decimal | None:
    """What is left of a request's ``max_cost`` after what earlier attempts cost; None where it has none."""
    if MAX_COST not in request:
        return None
    most = GenerationRequest.model_validate_json(request).max_cost
    return None if most is None else max(most - (paid_before or Decimal(0)), Decimal(0))


async def limit_costs(connection: AsyncConnection, costs: Sequence[TaskCost]) -> dict[str, ReservationEnd]:
    """The ends by task id, none above its limit. Call in the transaction that books them."""
    ends = {cost.end.task_id: cost.end for cost in costs}
    for cost in costs:
        most = await _most_believed(connection, cost)
        most = most if cost.promised is None else min(most, cost.promised)
        if cost.end.amount > most:
            ends[cost.end.task_id] = replace(cost.end, amount=most)
            await _tell_operator(connection, cost, most=most)
    return ends


async def _most_believed(connection: AsyncConnection, cost: TaskCost) -> Decimal:
    if cost.estimate is not None:
        return MOST_TIMES_ESTIMATE * cost.estimate
    limits = [MOST_UNESTIMATED]
    for holder_id in filter(None, (cost.key_id, cost.project_id)):
        limits += [budget for budget in await read_budgets(connection, holder_id) if budget is not None]
    return max(min(limits), Decimal(0))


async def _tell_operator(connection: AsyncConnection, cost: TaskCost, *, most: Decimal) -> None:
    data: Mapping[str, str] = {
        "account": cost.account_id,
        "task": cost.end.task_id,
        "key": cost.key_id,
        "model": cost.model,
        "reported": format_money(cost.end.amount),
        "charged": format_money(most),
    }
    log.error(
        "cost.limited", **data, advice="Compare with the vendor's bill; correct the price or its units."
    )
    known = {name: data[name] for name in ("reported", "charged")}
    await add_timeline_row(connection, cost.end.task_id, epoch=0, event=TIMELINE_EVENT, detail=known)
    wanted = await read_without_secrets(connection, NoticeOptions)
    await insert_notices(connection, wanted, [OperatorNotice(TOPIC, data)])
