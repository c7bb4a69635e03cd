"""Who may start now: an account and a slot for a waiting task, fair between keys, in one transaction."""

import asyncio
import json
import time
from collections import defaultdict
from dataclasses import replace
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import cooling, quota, rates
from app.accounts.standing import AccountStatus
from app.catalog.routes import Catalog
from app.catalog.turns import Turns
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import slots, tasks, timeline
from app.errors import FilmgateError
from app.generation import Kind
from app.tasks.engine import Engine
from app.tasks.events import Events
from app.tasks.rooms import Choice, Ledger
from app.tasks.waiting import Group, Line, foremost, groups, preferred, under_way, waiting

log = structlog.get_logger()
LOCK = 727_002  # one admission at a time over all replicas; the number is ours to choose
PASSED_OVER = 200
"""So many tasks that wait for one busy account hold up nobody behind them."""
SAFETY_SECONDS = 2.0
"""A look is taken this often also when nobody asked: a notice can be lost, a cooldown ends by itself."""
BREATH_SECONDS = 0.02
"""What comes in a burst is admitted together."""
NOTICE_SECONDS = 300.0
"""The operator hears this often that nobody can serve what waits."""


class Place(NamedTuple):
    """Where tasks go: all that is written about them is the same."""

    kind: Kind
    account_id: str
    model: str


class Admission:
    """Gives waiting tasks to accounts with room, and the engine the word."""

    def __init__(self, database: Database, *, catalog: Catalog, engine: Engine, events: Events) -> None:
        self._database = database
        self._catalog = catalog
        self._engine = engine
        self._events = events
        self._turns = Turns()
        self._keys = Turns()
        self._told: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Look whenever a task comes, a slot is freed, and now and then; until cancelled."""
        async with self._events.listen("wake") as queue:
            while True:
                try:
                    await self.admit()
                except (*DATABASE_AWAY, FilmgateError) as error:
                    log.warning("admission.delayed", error=type(error).__name__, detail=str(error)[:200])
                    await asyncio.sleep(1)
                await _quiet(queue, self._pause(time.time()))

    async def admit(self) -> int:
        """One pass; how many tasks were dispatched."""
        now = time.time()
        standings = await self._catalog.standings()
        async with self._database.read() as connection:
            choices = {group: self._choice(*group, now=now) for group in await groups(connection)}
            await _bind(connection, choices)
            choices = {group: choice for group, choice in choices.items() if choice.usable or choice.bound}
            if not choices:
                return 0
            ledger = await _ledger(connection, standings, now=now)
            if not any(choice.wanted(ledger) for choice in choices.values()):
                return 0
        # A slot that waits for its task behind a hundred notes of other tasks is a slot not used.
        async with self._database.write_next() as connection:
            if self._database.is_postgres:
                await connection.execute(sa.text(f"SELECT pg_advisory_xact_lock({LOCK})"))
            ledger = await _ledger(connection, standings, now=now)
            ledger.quotas = await quota.left(
                connection, [s.account.id for s in standings if s.quota], now=now
            )
            trying = {account_id for choice in choices.values() for account_id in choice.trying}
            ledger.out = await cooling.trials_out(connection, trying, now) if trying else set()
            given = await self._assign(connection, choices, ledger, now=now)
            dispatched = await _write(connection, given, ledger, now=now)
            await self._engine.put(dispatched, connection)
        for account_id, model in ledger.trials:
            self._catalog.pool.try_out(account_id, model)
        return len(dispatched)

    def _pause(self, now: float) -> float:
        """Until the next cooldown ends, at most ``SAFETY_SECONDS``."""
        ends = [
            cooldown.ends - now
            for standing in self._catalog.pool.remembered()
            for cooldown in standing.cooldowns.values()
            if cooldown.rests(now)
        ]
        return max(min([*ends, SAFETY_SECONDS]), BREATH_SECONDS)

    def _choice(self, kind: Kind, model: str, *, now: float) -> Choice:
        choice = Choice.of(self._catalog.candidates(kind, model), kind, now=now)
        if not choice.able and self._told.get((kind, model), 0.0) < now - NOTICE_SECONDS:
            self._told[kind, model] = now
            self._catalog.refused(kind, model)
        return choice

    async def _assign(
        self, connection: AsyncConnection, choices: dict[Group, Choice], ledger: Ledger, *, now: float
    ) -> dict[Place, list[str]]:
        """Ids of the tasks that get an account and a slot, by where they go."""
        busy, rows = await under_way(connection), []
        for group, choice in choices.items():
            wanted = choice.wanted(ledger)
            if wanted > 0:
                limit = wanted + PASSED_OVER
                rows += await foremost(connection, group, busy=busy, turns=self._keys, now=now, limit=limit)
        held = await _reserves(connection, rows, ledger)
        given: dict[Place, list[str]] = defaultdict(list)
        line = Line(rows, busy, self._keys)
        for row in line:
            choice = choices[row.kind, row.model]
            candidate = choice.best(row, ledger, self._turns)
            if candidate is None:
                continue
            account_id = candidate.account.id
            line.served(row)
            ledger.give(candidate, row.kind, reserve=held.get(row.id, Decimal(0)))
            self._turns.taken(account_id, candidate.share)
            if account_id in choice.trying:
                ledger.trials.add((account_id, choice.trying[account_id]))
            given[Place(row.kind, account_id, candidate.model)].append(row.id)
        return given


async def _bind(connection: AsyncConnection, choices: dict[Group, Choice]) -> None:
    """A remix goes where its source was made, also when that account is out of use by now."""
    disabled = {c.account.id for choice in choices.values() for c in choice.disabled}
    bound = await preferred(connection, disabled) if disabled else set()
    for choice in choices.values():
        choice.bind(bound)


async def _ledger(connection: AsyncConnection, standings: list[AccountStatus], *, now: float) -> Ledger:
    """Quotas as they are remembered: those of the store are read where they count."""
    query = sa.select(slots.c.account_id, slots.c.kind, sa.func.count()).group_by(
        slots.c.account_id, slots.c.kind
    )
    taken = {(row[0], row[1]): int(row[2]) for row in await connection.execute(query)}
    counted = [(s.account.id, s.quota) for s in standings if s.quota is not None]
    quotas = {account_id: replace(each, left=each.left_at(now)) for account_id, each in counted}
    return Ledger(taken, await rates.sent(connection, standings, now=now), quotas)


async def _reserves(connection: AsyncConnection, rows: list[Any], ledger: Ledger) -> dict[str, Decimal]:
    in_dollars = any(each.unit == "usd" for each in ledger.quotas.values())
    return await quota.reserves(connection, [row.id for row in rows]) if in_dollars else {}


async def _write(
    connection: AsyncConnection, given: dict[Place, list[str]], ledger: Ledger, *, now: float
) -> list[str]:
    dispatched: list[str] = []
    for place, ids in given.items():
        found = await _place(connection, place, ids, now=now)
        counted = ledger.quotas.get(place.account_id)
        if found and counted is not None:
            held = await quota.reserves(connection, found) if counted.unit == "usd" else {}
            amount = sum(held.values(), Decimal(0)) if counted.unit == "usd" else Decimal(len(found))
            await quota.take(connection, place.account_id, amount)
        dispatched += found
    for account_id, model in ledger.trials:
        await cooling.send_trial(connection, account_id, model, now=now)
    return dispatched


async def _place(connection: AsyncConnection, place: Place, ids: list[str], *, now: float) -> list[str]:
    """Ids of those that really went there: on PostgreSQL a client may have cancelled one meanwhile, and it
    gets no slot, as nobody would free it."""
    kind, account_id, model = place
    assign = (
        sa.update(tasks)
        .where(tasks.c.id.in_(ids), waiting(now))
        .values(account_id=account_id, upstream_model=model)
    )
    found = list((await connection.execute(assign.returning(tasks.c.id))).scalars())
    if found:
        taken = [{"task_id": task_id, "account_id": account_id, "kind": kind, "at": now} for task_id in found]
        await connection.execute(sa.insert(slots), taken)
        detail = json.dumps({"account": account_id, "model": model})
        noted = {"at": now, "epoch": 0, "event": "dispatched", "detail": detail}
        await connection.execute(sa.insert(timeline), [{"task_id": task_id, **noted} for task_id in found])
    return found


async def _quiet(queue: asyncio.Queue[Any], seconds: float) -> None:
    """Wait for news or the next look; a burst counts as one."""
    try:
        async with asyncio.timeout(seconds):
            await queue.get()
    except TimeoutError:
        return
    await asyncio.sleep(BREATH_SECONDS)
    while not queue.empty():
        queue.get_nowait()
