"""A client key as the panel shows it: its limits, what it spent, how busy it was; never its secret."""

import time
from collections import defaultdict
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from app.admin.panel import PanelServices
from app.admin.task_object import plain_amount
from app.admin.task_search import id_at
from app.db.tables import spending, tasks
from app.keys.key import ClientKey
from app.tasks.states import OPEN
from app.usage.periods import period_label, period_names

HOUR = 3600
HOURS = 24
BUDGETS = ("total", "daily", "monthly")


async def key_objects(panel: PanelServices, found: list[ClientKey]) -> list[dict[str, Any]]:
    now = time.time()
    ids = [key.id for key in found]
    busy = await _in_flight(panel)
    spent = await _spending_by_key(panel, ids, now=now)
    lines = await _hourly_counts(panel, ids, now=now)
    return [
        settable_fields(key)
        | {
            "id": key.id,
            "owner": key.owner,
            "hint": f"sk-fg-{key.id}…",
            "state": _key_state(key, now),
            "in_flight": busy.get(key.id, 0),
            "spent": spent[key.id],
            "created_at": key.created_at,
            "old_until": key.old_until if key.old_until and key.old_until > now else None,
            "source": key.source,
            "read_only": key.source == "file",
            "sparkline": lines[key.id],
        }
        for key in found
    ]


def settable_fields(key: ClientKey) -> dict[str, Any]:
    """What an operator may set, as it is."""
    return {
        "name": key.name,
        "project": key.project,
        "enabled": key.enabled,
        "models": list(key.models),
        "networks": [str(network) for network in key.networks],
        "rpm": key.rpm,
        "tasks_limit": key.tasks_limit,
        "budget": {name: plain_amount(getattr(key, f"budget_{name}")) for name in BUDGETS},
        "expires_at": key.expires_at,
        "options": key.options,
        "note": key.note,
    }


def _key_state(key: ClientKey, now: float) -> str:
    if not key.enabled:
        return "disabled"
    return "expired" if key.expires_at is not None and key.expires_at <= now else "active"


async def _in_flight(panel: PanelServices) -> dict[str, int]:
    """Found by the state: a key may have a long history, and few tasks are open."""
    query = sa.select(tasks.c.key_id, sa.func.count()).where(tasks.c.state.in_(OPEN)).group_by(tasks.c.key_id)
    async with panel.database.read() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(query)}


async def _spending_by_key(
    panel: PanelServices, ids: list[str], *, now: float
) -> dict[str, dict[str, str | None]]:
    names = {period: period_label(period) for period in period_names(now)}
    nothing = plain_amount(Decimal(0))
    found: dict[str, dict[str, str | None]] = defaultdict(
        lambda: dict.fromkeys([*BUDGETS, "reserved"], nothing)
    )
    query = sa.select(spending).where(spending.c.key_id.in_(ids), spending.c.period.in_(names))
    async with panel.database.read() as connection:
        for row in await connection.execute(query):
            found[row.key_id][names[row.period]] = plain_amount(row.spent)
            if names[row.period] == "total":
                found[row.key_id]["reserved"] = plain_amount(row.reserved)
    return found


async def _hourly_counts(panel: PanelServices, ids: list[str], *, now: float) -> dict[str, list[int]]:
    """Tasks made in each of the last 24 hours, newest last."""
    first = int(now // HOUR) - HOURS + 1
    # By their ids, which are ordered by time: so the index alone answers.
    hour = sa.case(
        *((tasks.c.id >= id_at((first + back) * HOUR), back) for back in range(HOURS - 1, 0, -1)), else_=0
    )
    query = (
        sa.select(tasks.c.key_id, hour.label("hour"), sa.func.count().label("made"))
        .where(tasks.c.key_id.in_(ids), tasks.c.id >= id_at(first * HOUR))
        .group_by(tasks.c.key_id, hour)
    )
    lines: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    async with panel.database.read() as connection:
        for row in await connection.execute(query):
            lines[row.key_id][row.hour] = int(row.made)
    return lines
