"""The rows of a film that is joined of segments: the film's own, and one task for each segment.

The segments are ordinary tasks: admitted, submitted once, polled, stored and paid like any other. Their owner is
``segment:`` and the film's id, so they stand in no client's list. The film itself has no account and buys nothing; its
run (``provider.py``) looks at them, lets the next one go, and joins them.

Money. The price of the length that was asked for is divided by the segments' shares of it, and each reserves its part, in
the transaction that writes all of them: a budget that does not hold the whole film refuses it before anything is made.
Each segment settles, releases or holds its own part by its own vendor's word; the film's row has no reservation, and its
cost is the sum of theirs. Where a price is by a vendor's units or tokens, what the vendors report counts.

Crash points:

- before the commit of a film's rows there is nothing; after it there is all of it, and the sweep starts its run;
- a segment that waits for the one before (``not_before`` lies in 2100) is let go by one update that names this state and
  the film's. Its first picture is stored before, under its own id: a crash in between stores it again;
- a segment that is made again is a new row whose ``idempotency_key`` is its place and its number: the unique index over
  owner and key allows one, whoever writes it;
- joining writes no row: it is begun anew.
"""

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app import clock
from app.catalog.price import ModelPrice
from app.db.connection import AsyncConnection
from app.db.session import Database
from app.db.tables import ledger, round_money, tasks
from app.generation import GenerationRequest
from app.keys.key import ClientKey
from app.providers.base import Operation
from app.tasks.budget_hold import BudgetHold
from app.tasks.creation import NewTask, insert_tasks
from app.tasks.repository import LISTED, task_of
from app.tasks.states import JOINED, SEGMENT_DIALECT, SEGMENT_OWNER, State
from app.tasks.task import Task, new_id
from app.usage.budgets import BudgetTracker
from app.usage.ledger import NOTHING

if TYPE_CHECKING:
    from app.catalog.segments import FilmPlan

LATER = 4_102_444_800.0
"""The year 2100: until its turn comes, a segment waits for it."""
PATIENCE_TIMES = 4
HOUR_SECONDS = 3600.0
"""A film may take so many times as long as its segments may wait; each of these has its own deadlines."""


@dataclass(frozen=True, slots=True)
class FilmSegment:
    """One task of a segment; ``place`` and ``attempt`` from 0."""

    task: Task
    place: int
    attempt: int
    waits_its_turn: bool

    @property
    def is_made(self) -> bool:
        return self.task.state == "completed"


# ---- a new film ---------------------------------------------------------------------------------


def with_segments(film: NewTask, plan: "FilmPlan", request: GenerationRequest) -> NewTask:
    """The new task as a film that is joined: its row already runs, and its segments' rows come with it."""
    row = film.row
    begun, count = max(row["created_at"], row["not_before"]), len(plan.segments)
    wait = row["deadline_at"] - begun
    work = Operation(id=row["id"], data={"kept": plan.shares, "chain": plan.chain, "wait": wait})
    values = {
        "state": "running",
        "account_id": JOINED,
        "operation": work.model_dump_json(),
        "prefers": None,
    }
    values["deadline_at"] = begun + count * PATIENCE_TIMES * max(wait, HOUR_SECONDS)
    holds = _shared_holds(film.hold, plan, request) if film.hold else [None] * count
    parts = [
        NewTask(
            _segment_row(row, plan, request, place=place),
            {"film": row["id"], "segment": place + 1, "of": count},
            holds[place],
        )
        for place in range(count)
    ]
    return replace(film, row={**row, **values}, segments=tuple(parts))


def _segment_row(film: Any, plan: "FilmPlan", request: GenerationRequest, *, place: int) -> dict[str, Any]:
    waits = place > 0 and plan.chain != "none"
    return {
        **film,
        "id": new_id(film["created_at"] + (place + 1) / 1000),  # lists order them by their ids
        "owner": SEGMENT_OWNER + film["id"],
        "dialect": SEGMENT_DIALECT,
        "request": plan.request_for(request, place).model_dump_json(exclude_defaults=True),
        "prefers": None,
        "excluded": json.dumps(plan.without),
        "idempotency_key": f"{place}.0",
        "hook_url": None,
        "hook_base": None,
        "fingerprint": f"{SEGMENT_OWNER}{film['id']}.{place}",
        "not_before": LATER if waits else film["not_before"],
        "deadline_at": LATER if waits else film["deadline_at"],
    }


def _shared_holds(hold: BudgetHold, plan: "FilmPlan", request: GenerationRequest) -> list[BudgetHold]:
    """The price of the asked length in parts, the last of which takes what rounding leaves."""
    price = hold.price
    if price is None:
        return [hold] * len(plan.segments)
    plain = price.model_copy(update={"per_million_input": NOTHING, "per_million_output": NOTHING})
    fixed = _shared(plain.estimate_request(request), plan.shares)
    amounts = _shared(hold.amount, plan.shares)
    by_usage = ("per_million_input", "per_million_output", "per_unit", "most_output_tokens")
    reported = {name: getattr(price, name) for name in by_usage}
    return [
        replace(hold, price=ModelPrice(per_call=part, **reported), amount=amount)
        for part, amount in zip(fixed, amounts, strict=True)
    ]


def _shared(amount: Decimal, shares: list[float]) -> list[Decimal]:
    whole = Decimal(str(sum(shares)))
    parts = [round_money(amount * Decimal(str(share)) / whole) for share in shares[:-1]]
    return [*parts, amount - sum(parts, NOTHING)]


# ---- a film under way ---------------------------------------------------------------------------


async def read_segments(database: Database, film_id: str) -> list[FilmSegment]:
    """The latest task of each segment, in their order."""
    latest = {each.place: each for each in await read_all_segments(database, film_id)}
    return list(latest.values())


async def read_all_segments(database: Database, film_id: str) -> list[FilmSegment]:
    """Each task that any segment ever had, in the order of the film, then of their making."""
    found: list[FilmSegment] = []
    async with database.read() as connection:
        for row in await connection.execute(_SEGMENTS, {"of_owner": SEGMENT_OWNER + film_id}):
            place, attempt = (int(part) for part in row.segment_key.split("."))
            task = task_of(_TaskFields(row))
            found.append(FilmSegment(task, place, attempt, row.waits_until >= LATER))
    return sorted(found, key=lambda each: (each.place, each.attempt))


_SEGMENTS = sa.select(
    *LISTED, tasks.c.idempotency_key.label("segment_key"), tasks.c.not_before.label("waits_until")
).where(tasks.c.owner == sa.bindparam("of_owner"))


class _TaskFields:
    """The columns of a row that a ``Task`` has."""

    def __init__(self, row: Any) -> None:
        self._fields = row._fields[:-2]
        self._values = row[:-2]

    def __iter__(self) -> Any:
        return iter(self._values)


async def let_go(
    database: Database, film_id: str, segment: FilmSegment, *, request: GenerationRequest, wait: float
) -> bool:
    """Let a segment be admitted, with what it asks for now. False: it is under way, or its film has ended."""
    mine = tasks.c.id == segment.task.id, tasks.c.state == "queued", tasks.c.not_before >= LATER
    values = {
        "request": request.model_dump_json(exclude_defaults=True),
        "not_before": (now := clock.now()),
        "deadline_at": now + wait,
    }
    async with database.write() as connection:
        if not await _goes_on(connection, film_id):
            return False
        done = await connection.execute(sa.update(tasks).where(*mine).values(**values))
    return done.rowcount > 0


async def make_again(
    database: Database,
    film_id: str,
    failed: FilmSegment,
    *,
    wait: float,
    key: ClientKey,
    budgets: BudgetTracker,
) -> bool:
    """Write a new task for a failed segment, which reserves what the failed one has released. False: its film has ended,
    or another run has written it. Raises ``InsufficientQuota``."""
    mine = tasks.c.id == failed.task.id
    reserved = ledger.c.task_id == failed.task.id, ledger.c.kind == "reserve"
    try:
        async with database.write() as connection:
            if not await _goes_on(connection, film_id):
                return False
            old = (await connection.execute(sa.select(*_COPIED).where(mine))).one()
            hold = (await connection.execute(sa.select(ledger).where(*reserved))).first()
            row = {**old._mapping, **_renewed(failed, wait=wait)}
            await insert_tasks(
                connection,
                [
                    NewTask(
                        row,
                        {"film": film_id, "segment": failed.place + 1, "again": failed.attempt + 1},
                        _same_hold(hold, key, budgets) if hold else None,
                    )
                ],
            )
    except IntegrityError:
        return False
    return True


_COPIED = [
    tasks.c[name]
    for name in (
        *("owner", "key_id", "dialect", "kind", "model", "request", "prefers", "only_account", "excluded"),
        *("hook_url", "hook_base", "fingerprint", "request_id", "prompt_removed", "end_user", "tags"),
        "traceparent",
        *("priority", "place"),
    )
]


def _renewed(failed: FilmSegment, *, wait: float) -> dict[str, Any]:
    now = clock.now()
    queued: State = "queued"
    return {
        "id": new_id(now),
        "state": queued,
        "idempotency_key": f"{failed.place}.{failed.attempt + 1}",
        "created_at": now,
        "deadline_at": now + wait,
    }


def _same_hold(row: Any, key: ClientKey, budgets: BudgetTracker) -> BudgetHold:
    price = ModelPrice.model_validate(json.loads(row.detail)["price"])
    # The film is one of the key's tasks in flight already.
    team = key.team.without_tasks_limit() if key.team else None
    key = key.model_copy(update={"tasks_limit": None, "team": team})
    return BudgetHold(key, row.model, price, row.amount, budgets)


async def _goes_on(connection: AsyncConnection, film_id: str) -> bool:
    """Whether the film may still begin segments. Until the end of the transaction nobody can cancel it."""
    running = tasks.c.id == film_id, tasks.c.state == "running", tasks.c.cancel_requested.is_(False)
    return (
        await connection.execute(sa.select(tasks.c.id).where(*running).with_for_update())
    ).first() is not None


async def record_cost(database: Database, film_id: str) -> None:
    """What the film's segments have cost, all attempts together, is what it costs."""
    mine = tasks.c.owner == SEGMENT_OWNER + film_id
    async with database.write() as connection:
        found = (await connection.execute(sa.select(tasks.c.cost).where(mine))).scalars().all()
        costs = [cost for cost in found if cost is not None]
        if costs:
            film = tasks.c.id == film_id, tasks.c.state == "running"
            await connection.execute(sa.update(tasks).where(*film).values(cost=sum(costs, NOTHING)))
