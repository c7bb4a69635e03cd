"""Who may start now: an account and a slot for a waiting task, fair between keys, in one transaction."""

import asyncio
import json
import time
from collections import defaultdict
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import cooldown_rules, limits
from app.accounts.limits import Capacity, read_capacity
from app.catalog.candidates import RoundRobin
from app.catalog.catalog import Catalog
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import slots, tasks, timeline
from app.dispatch.port import Dispatcher, lock_queue
from app.errors import FilmgateError
from app.generation import Kind
from app.tasks.admission.candidate_set import CandidateSet
from app.tasks.admission.waiting import (
    FairQueue,
    Group,
    next_tasks,
    preferred_accounts,
    slots_by_key,
    waiting_groups,
    waiting_now,
)
from app.tasks.notifications import NotificationHub

log = structlog.get_logger()
SKIPPED_TASKS = 200
"""So many tasks that wait for one busy account hold up nobody behind them."""
SAFETY_SECONDS = 2.0
"""A look is taken this often also when nobody asked: a notice can be lost, a cooldown ends by itself."""
BURST_SECONDS = 0.02
"""What comes in a burst is admitted together."""
NOTICE_SECONDS = 300.0
"""The operator hears this often that nobody can serve what waits."""


class Assignment(NamedTuple):
    """Where tasks go: all that is written about them is the same."""

    kind: Kind
    account_id: str
    model: str


class AdmissionController:
    """Gives waiting tasks to accounts with room, and the engine the word."""

    def __init__(
        self, database: Database, *, catalog: Catalog, dispatcher: Dispatcher, events: NotificationHub
    ) -> None:
        self._database = database
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._events = events
        self._account_turns = RoundRobin()
        self._key_turns = RoundRobin()
        self._refusals_reported: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Look whenever a task comes, a slot is freed, and now and then; until cancelled."""
        async with self._events.subscribe("wake") as queue:
            while True:
                try:
                    await self.admit()
                except (*DATABASE_AWAY, FilmgateError) as error:
                    log.warning("admission.delayed", error=type(error).__name__, detail=str(error)[:200])
                    await asyncio.sleep(1)
                await _wait_for_notification(queue, self._seconds_to_next_pass(time.time()))

    async def admit(self) -> int:
        """One pass; how many tasks were dispatched."""
        now = time.time()
        standings = await self._catalog.current_statuses()
        async with self._database.read() as connection:
            choices = {
                group: self._candidate_set(*group, now=now) for group in await waiting_groups(connection)
            }
            await _bind_disabled(connection, choices)
            choices = {
                group: choice for group, choice in choices.items() if choice.usable or choice.bound_ids
            }
            if not choices:
                return 0
            ledger = await read_capacity(connection, standings, now=now)
            if not any(choice.startable_count(ledger) for choice in choices.values()):
                return 0
        # A slot that waits for its task behind a hundred notes of other tasks is a slot not used.
        async with self._database.write_next() as connection:
            await lock_queue(connection, "task")
            ledger = await read_capacity(connection, standings, now=now)
            ledger.quotas = await limits.remaining_quotas(
                connection, [s.account.id for s in standings if s.quota], now=now
            )
            trying = {account_id for choice in choices.values() for account_id in choice.trial_scopes}
            ledger.trials_under_way = (
                await cooldown_rules.running_trials(connection, trying, now) if trying else set()
            )
            given = await self._assign_accounts(connection, choices, ledger, now=now)
            dispatched = await _write_assignments(connection, given, ledger, now=now)
            await self._dispatcher.put("task", dispatched, connection)
        for account_id, model in ledger.trials_given:
            self._catalog.pool.mark_trial(account_id, model)
        return len(dispatched)

    def _seconds_to_next_pass(self, now: float) -> float:
        """Until the next cooldown ends, at most ``SAFETY_SECONDS``."""
        ends = [
            cooldown.ends_at - now
            for standing in self._catalog.pool.cached_statuses()
            for cooldown in standing.cooldowns.values()
            if cooldown.is_active(now)
        ]
        return max(min([*ends, SAFETY_SECONDS]), BURST_SECONDS)

    def _candidate_set(self, kind: Kind, model: str, *, now: float) -> CandidateSet:
        choice = CandidateSet.from_candidates(self._catalog.candidates(kind, model), kind, now=now)
        if not choice.able_ids and self._refusals_reported.get((kind, model), 0.0) < now - NOTICE_SECONDS:
            self._refusals_reported[kind, model] = now
            self._catalog.report_unavailable(kind, model)
        return choice

    async def _assign_accounts(
        self, connection: AsyncConnection, choices: dict[Group, CandidateSet], ledger: Capacity, *, now: float
    ) -> dict[Assignment, list[str]]:
        """Ids of the tasks that get an account and a slot, by where they go."""
        busy, rows = await slots_by_key(connection), []
        for group, choice in choices.items():
            wanted = choice.startable_count(ledger)
            if wanted > 0:
                limit = wanted + SKIPPED_TASKS
                rows += await next_tasks(
                    connection, group, busy=busy, turns=self._key_turns, now=now, limit=limit
                )
        held = await _read_reserves(connection, rows, ledger)
        given: dict[Assignment, list[str]] = defaultdict(list)
        line = FairQueue(rows, busy, self._key_turns)
        for row in line:
            choice = choices[row.kind, row.model]
            candidate = choice.best_candidate(row, ledger, self._account_turns)
            if candidate is None:
                continue
            account_id = candidate.account.id
            line.record_served(row)
            ledger.take_slot(account_id, row.kind, reserve=held.get(row.id, Decimal(0)))
            self._account_turns.take_turn(account_id, candidate.share)
            if account_id in choice.trial_scopes:
                ledger.trials_given.add((account_id, choice.trial_scopes[account_id]))
            given[Assignment(row.kind, account_id, candidate.model)].append(row.id)
        return given


async def _bind_disabled(connection: AsyncConnection, choices: dict[Group, CandidateSet]) -> None:
    """A remix goes where its source was made, also when that account is out of use by now."""
    disabled = {c.account.id for choice in choices.values() for c in choice.disabled}
    bound = await preferred_accounts(connection, disabled) if disabled else set()
    for choice in choices.values():
        choice.bind_accounts(bound)


async def _read_reserves(
    connection: AsyncConnection, rows: list[Any], ledger: Capacity
) -> dict[str, Decimal]:
    in_dollars = any(each.unit == "usd" for each in ledger.quotas.values())
    return await limits.reserved_amounts(connection, [row.id for row in rows]) if in_dollars else {}


async def _write_assignments(
    connection: AsyncConnection, given: dict[Assignment, list[str]], ledger: Capacity, *, now: float
) -> list[str]:
    dispatched: list[str] = []
    for place, ids in given.items():
        found = await _assign_tasks(connection, place, ids, now=now)
        counted = ledger.quotas.get(place.account_id)
        if found and counted is not None:
            held = await limits.reserved_amounts(connection, found) if counted.unit == "usd" else {}
            amount = sum(held.values(), Decimal(0)) if counted.unit == "usd" else Decimal(len(found))
            await limits.take_quota(connection, place.account_id, amount)
        dispatched += found
    for account_id, model in ledger.trials_given:
        await cooldown_rules.record_trial(connection, account_id, model, now=now)
    return dispatched


async def _assign_tasks(
    connection: AsyncConnection, place: Assignment, ids: list[str], *, now: float
) -> list[str]:
    """Ids of those that really went there: on PostgreSQL a client may have cancelled one meanwhile, and it
    gets no slot, as nobody would free it."""
    kind, account_id, model = place
    assign = (
        sa.update(tasks)
        .where(tasks.c.id.in_(ids), waiting_now(now))
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


async def _wait_for_notification(queue: asyncio.Queue[Any], seconds: float) -> None:
    """Wait for news or the next look; a burst counts as one."""
    try:
        async with asyncio.timeout(seconds):
            await queue.get()
    except TimeoutError:
        return
    await asyncio.sleep(BURST_SECONDS)
    while not queue.empty():
        queue.get_nowait()
