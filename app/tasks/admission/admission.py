"""Admission: gives waiting tasks an account and a slot, fair between keys, in one transaction."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog

from app import clock
from app.accounts import cooldown_rules, limits
from app.accounts.limits import Capacity, read_capacity
from app.accounts.refusals import KeyRests
from app.catalog.candidates import Candidate, RoundRobin, rank_key, usable_now
from app.catalog.catalog import Catalog
from app.db.among import among
from app.db.connection import AsyncConnection
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import slots, tasks
from app.dispatch.dispatcher import Dispatcher, lock_queue
from app.errors import FilmgateError
from app.generation import Kind
from app.ops.edge import DrainState
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
from app.tasks.task import INSERT_ROW

log = structlog.get_logger()
SKIPPED_TASKS = 200
"""So many tasks that wait for one busy account are skipped to find those that can start."""
SAFETY_SECONDS = 2.0
"""Longest time between two passes: a notification can be lost, and a cooldown ends by itself."""
BURST_SECONDS = 0.02
"""Tasks that arrive within this time are admitted in one pass."""
NOTICE_SECONDS = 300.0
"""Shortest time between two notices that no account can serve a waiting model."""
_ASSIGN = (
    sa.update(tasks)
    .where(among(tasks.c.id, "ids"), waiting_now(sa.bindparam("now", type_=sa.Float)))
    .values(account_id=sa.bindparam("to_account"), upstream_model=sa.bindparam("to_model"))
    .returning(tasks.c.id)
)
_TAKE_SLOT = sa.insert(slots).inline()


class Assignment(NamedTuple):
    """The account and upstream model that a group of tasks gets; their rows are written together."""

    kind: Kind
    account_id: str
    model: str


@dataclass(slots=True)
class CandidateSet:
    """The accounts that can serve one waiting model, and which of them may be used now."""

    kind: Kind
    able_ids: set[str]
    usable: list[Candidate]
    trial_scopes: dict[str, str]
    """Usable accounts in cooldown that get one trial request: their id, and ``*`` or the model that is tried."""
    disabled: list[Candidate]
    """Disabled accounts. They only get tasks that are bound to their earlier work, as a remix is."""
    bound_ids: set[str] = field(default_factory=set)
    """Disabled accounts that some task is bound to."""
    is_full: bool = False
    """No account has room for a task without preferences and exclusions."""

    @classmethod
    def from_candidates(cls, candidates: Iterable[Candidate], kind: Kind, *, now: float) -> "CandidateSet":
        candidates = list(candidates)
        able = [c for c in candidates if c.status.enabled]
        usable = usable_now(able, now)
        disabled = [c for c in candidates if _usable_if_enabled(c, now)]
        return cls(kind, {c.account.id for c in able}, usable.candidates, dict(usable.trial_scopes), disabled)

    def bind_accounts(self, account_ids: set[str]) -> None:
        """``account_ids``: disabled accounts that some task is bound to."""
        self.bound_ids = account_ids & {c.account.id for c in self.disabled}

    def startable_count(self, capacity: Capacity) -> int:
        """How many tasks could start now."""
        bound = [c for c in self.disabled if c.account.id in self.bound_ids]
        return sum(
            min(free, 1) if c.account.id in self.trial_scopes else free
            for c in (*self.usable, *bound)
            if (free := capacity.free_slots(c.account, c.model, self.kind)) > 0
        )

    def best_candidate(
        self, row: Any, capacity: Capacity, turns: RoundRobin, *, rests: KeyRests
    ) -> Candidate | None:
        """The best-ranked account with room for the task of ``row``. A task that prefers an account waits for it
        while that account is able or has only been disabled since; no other account than ``only_account`` gets one that
        names it."""
        free = row.prefers is None and row.only_account is None
        plain = free and row.excluded == "[]" and not rests
        if plain and self.is_full:
            return None
        excluded = json.loads(row.excluded)
        allowed, among = self.able_ids.difference(excluded), self.usable
        if row.prefers in self.bound_ids and row.prefers not in excluded:
            allowed, among = {row.prefers}, self.disabled
        elif row.prefers in allowed:
            allowed = {row.prefers}
        if row.only_account is not None:
            allowed = allowed & {row.only_account}
        found = [
            c
            for c in among
            if c.account.id in allowed
            and capacity.free_slots(c.account, c.model, self.kind) > 0
            and not rests.is_resting(row.key_id, c.account.id, c.model)
        ]
        self.is_full = self.is_full or (plain and not found)
        return min(
            found,
            key=lambda c: rank_key(c, capacity.slots_taken.get((c.account.id, self.kind), 0), turns),
            default=None,
        )


class AdmissionController:
    """Assigns waiting tasks to accounts with free slots and dispatches them."""

    def __init__(
        self,
        database: Database,
        *,
        catalog: Catalog,
        dispatcher: Dispatcher,
        events: NotificationHub,
        drain: DrainState | None = None,
    ) -> None:
        self._database = database
        self._drain = drain or DrainState()
        self._catalog = catalog
        self._dispatcher = dispatcher
        self._events = events
        self._account_turns = RoundRobin()
        self._key_turns = RoundRobin()
        self._refusals_reported: dict[tuple[str, str], float] = {}

    async def run(self) -> None:
        """Admit when a task arrives, a slot is freed or a cooldown ends, until cancelled."""
        async with self._events.subscribe("wake") as queue:
            while True:
                try:
                    await self.admit()
                except (*DATABASE_AWAY, FilmgateError) as error:
                    log.warning("admission.delayed", error=type(error).__name__, detail=str(error)[:200])
                    await asyncio.sleep(1)
                await _wait_for_notification(queue, self._seconds_to_next_pass(clock.now()))

    async def admit(self) -> int:
        """One pass. Returns how many tasks were dispatched: none once the process has been told to end."""
        if self._drain.begun:
            return 0
        now = clock.now()
        statuses = await self._catalog.current_statuses()
        async with self._database.read_few() as connection:
            candidate_sets = {
                group: self._candidate_set(*group, now=now) for group in await waiting_groups(connection)
            }
            await self._bind_disabled(candidate_sets)
            candidate_sets = {
                group: candidate_set
                for group, candidate_set in candidate_sets.items()
                if candidate_set.usable or candidate_set.bound_ids
            }
            if not candidate_sets:
                return 0
            capacity = await read_capacity(connection, statuses, now=now)
            if not any(candidate_set.startable_count(capacity) for candidate_set in candidate_sets.values()):
                return 0
        # Ahead of other writers: a slot is idle for as long as admission waits.
        async with self._database.write_next() as connection:
            await lock_queue(connection, "task")
            if self._drain.begun:
                return 0
            capacity = await read_capacity(connection, statuses, now=now)
            capacity.quotas = await limits.remaining_quotas(
                connection, [s.account.id for s in statuses if s.quota], now=now
            )
            trying = {
                account_id
                for candidate_set in candidate_sets.values()
                for account_id in candidate_set.trial_scopes
            }
            capacity.trials_under_way = (
                await cooldown_rules.running_trials(connection, trying, now) if trying else set()
            )
            assigned = await self._assign_accounts(connection, candidate_sets, capacity, now=now)
            dispatched = await _write_assignments(connection, assigned, capacity, now=now)
            await self._dispatcher.put("task", dispatched, connection)
        for account_id, model in capacity.trials_given:
            self._catalog.pool.mark_trial(account_id, model)
        return len(dispatched)

    async def _bind_disabled(self, candidate_sets: dict[Group, CandidateSet]) -> None:
        """A remix goes to the account that made its source, even if that account is disabled by now."""
        disabled = {c.account.id for candidate_set in candidate_sets.values() for c in candidate_set.disabled}
        if not disabled:
            return
        async with self._database.read() as connection:  # it reads all that wait
            bound = await preferred_accounts(connection, disabled)
        for candidate_set in candidate_sets.values():
            candidate_set.bind_accounts(bound)

    def _seconds_to_next_pass(self, now: float) -> float:
        """Until the next cooldown ends, at most ``SAFETY_SECONDS``."""
        ends = [
            cooldown.ends_at - now
            for status in self._catalog.pool.cached_statuses()
            for cooldown in status.cooldowns.values()
            if cooldown.is_active(now)
        ]
        return max(min([*ends, SAFETY_SECONDS]), BURST_SECONDS)

    def _candidate_set(self, kind: Kind, model: str, *, now: float) -> CandidateSet:
        candidate_set = CandidateSet.from_candidates(self._catalog.candidates(kind, model), kind, now=now)
        if (
            not candidate_set.able_ids
            and self._refusals_reported.get((kind, model), 0.0) < now - NOTICE_SECONDS
        ):
            self._refusals_reported[kind, model] = now
            self._catalog.report_unavailable(kind, model)
        return candidate_set

    async def _assign_accounts(
        self,
        connection: AsyncConnection,
        candidate_sets: dict[Group, CandidateSet],
        capacity: Capacity,
        *,
        now: float,
    ) -> dict[Assignment, list[str]]:
        """Choose an account for each waiting task that can start; task ids by assignment."""
        busy, rows = await slots_by_key(connection), []
        for group, candidate_set in candidate_sets.items():
            wanted = candidate_set.startable_count(capacity)
            if wanted > 0:
                limit = wanted + SKIPPED_TASKS
                rows += await next_tasks(
                    connection, group, busy=busy, turns=self._key_turns, now=now, limit=limit
                )
        held = await _read_reserves(connection, rows, capacity)
        assigned: dict[Assignment, list[str]] = defaultdict(list)
        line = FairQueue(rows, busy, self._key_turns)
        for row in line:
            candidate_set = candidate_sets[row.kind, row.model]
            candidate = candidate_set.best_candidate(
                row, capacity, self._account_turns, rests=self._catalog.pool.refusals.key_rests
            )
            if candidate is None:
                continue
            account_id = candidate.account.id
            line.record_served(row)
            capacity.take_slot(account_id, row.kind, reserve=held.get(row.id, Decimal(0)))
            self._account_turns.take_turn(account_id, candidate.share)
            if account_id in candidate_set.trial_scopes:
                capacity.trials_given.add((account_id, candidate_set.trial_scopes[account_id]))
            assigned[Assignment(row.kind, account_id, candidate.model)].append(row.id)
        return assigned


def _usable_if_enabled(candidate: Candidate, now: float) -> bool:
    """Whether being disabled is all that blocks it."""
    status = candidate.status
    if status.enabled:
        return False
    return replace(status, enabled=True).blocked_by(candidate.model, now) is None


async def _read_reserves(
    connection: AsyncConnection, rows: list[Any], capacity: Capacity
) -> dict[str, Decimal]:
    in_dollars = any(each.unit == "usd" for each in capacity.quotas.values())
    return await limits.reserved_amounts(connection, [row.id for row in rows]) if in_dollars else {}


async def _write_assignments(
    connection: AsyncConnection, assigned: dict[Assignment, list[str]], capacity: Capacity, *, now: float
) -> list[str]:
    dispatched: list[str] = []
    for assignment, ids in assigned.items():
        found = await _assign_tasks(connection, assignment, ids, now=now)
        counted = capacity.quotas.get(assignment.account_id)
        if found and counted is not None:
            held = await limits.reserved_amounts(connection, found) if counted.unit == "usd" else {}
            amount = sum(held.values(), Decimal(0)) if counted.unit == "usd" else Decimal(len(found))
            await limits.take_quota(connection, assignment.account_id, amount)
        dispatched += found
    for account_id, model in capacity.trials_given:
        await cooldown_rules.record_trial(connection, account_id, model, now=now)
    return dispatched


async def _assign_tasks(
    connection: AsyncConnection, assignment: Assignment, ids: list[str], *, now: float
) -> list[str]:
    """Write one assignment with its slots and timeline rows; the ids that got it. On PostgreSQL a client may
    have cancelled a task meanwhile: it gets no slot, as no run would free it."""
    kind, account_id, model = assignment
    given = {"ids": ids, "to_account": account_id, "to_model": model, "now": now}
    found = list((await connection.execute(_ASSIGN, given)).scalars())
    if found:
        taken = [{"task_id": task_id, "account_id": account_id, "kind": kind, "at": now} for task_id in found]
        await connection.execute(_TAKE_SLOT, taken)
        detail = json.dumps({"account": account_id, "model": model})
        common = {"at": now, "epoch": 0, "event": "dispatched", "detail": detail}
        await connection.execute(INSERT_ROW, [{"task_id": task_id, **common} for task_id in found])
    return found


async def _wait_for_notification(queue: asyncio.Queue[Any], seconds: float) -> None:
    """Wait for a notification or for ``seconds``, then let a burst of them arrive."""
    try:
        async with asyncio.timeout(seconds):
            await queue.get()
    except TimeoutError:
        return
    await asyncio.sleep(BURST_SECONDS)
    while not queue.empty():
        queue.get_nowait()
