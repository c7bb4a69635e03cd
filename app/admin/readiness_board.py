"""Which models can be made at this moment, as the front page and the line that warns on every page show it."""

import time
from collections.abc import Mapping

import sqlalchemy as sa

from app import clock
from app.accounts.notices import PoolNotice
from app.accounts.pool import AccountPool
from app.admin.bodies import PanelAnswer
from app.catalog.catalog import Catalog
from app.catalog.readiness import ModelReadiness, read_readiness
from app.catalog.waits import BlockCount
from app.db.operator_tables import rollup
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import slots, tasks
from app.generation import Kind
from app.shared_reads import SharedRead
from app.tasks.admission.waiting import WAITING

KEPT_SECONDS = 3.0
ASKED_SECONDS = 3600.0
"""A model that was asked for in vain is called asked for this long."""
ASKED_HOURS = 24
MOST_REFUSED = 200
HOUR = 3600


class BlockedAccounts(PanelAnswer):
    """How many accounts one thing blocks; ``until``: when the first of them is free again (UTC seconds), if by itself."""

    count: int
    until: float | None


class ReadinessObject(PanelAnswer):
    """``ready`` of ``accounts`` may take work, ``full`` of these have no free slot; ``blocked`` counts the others by
    `cooling`, `quota_exhausted`, `disabled` or `expired`. ``waiting``: tasks that wait for an account; ``asked``: whether
    anybody has wanted the model lately."""

    model: str
    kind: str
    accounts: int
    ready: int
    full: int
    blocked: dict[str, BlockedAccounts]
    waiting: int
    asked: bool


def blocked_groups(count: BlockCount) -> dict[str, BlockedAccounts]:
    now = time.time()
    return {
        code: BlockedAccounts(
            count=number, until=now + min(count.ends[code]) if count.ends.get(code) else None
        )
        for code, number in count.counted.items()
    }


class ReadinessBoard:
    """Reads the state of all models at most every few seconds, however many pages look. What was asked for in vain is
    heard from the pool's notices, as no task says so."""

    def __init__(self, database: Database, catalog: Catalog, pool: AccountPool) -> None:
        self._database = database
        self._catalog = catalog
        self._refused: dict[str, tuple[Kind, float]] = {}
        self._reads = SharedRead(self._read_all, seconds=KEPT_SECONDS, away=DATABASE_AWAY)
        pool.on_notice(self._hear_notice)

    async def models(self) -> list[ReadinessObject]:
        return await self._reads.get()

    async def close(self) -> None:
        await self._reads.close()

    def forget(self) -> None:
        """The operator has changed something: the next look reads anew."""
        self._reads.expire()

    def _hear_notice(self, notice: PoolNotice) -> None:
        if notice.topic != "no_available_account":
            return
        if len(self._refused) >= MOST_REFUSED:
            self._refused.pop(next(iter(self._refused)))
        self._refused[str(notice.data["model"])] = notice.data["kind"], clock.now()

    async def _read_all(self) -> list[ReadinessObject]:
        since = clock.now() - ASKED_SECONDS
        self._refused = {name: each for name, each in self._refused.items() if each[1] > since}
        waiting, recent, taken = await self._read_store()
        asked: dict[str, Kind | None] = dict.fromkeys(recent)
        asked |= {model: kind for model, (kind, _) in self._refused.items()}
        await self._catalog.current_statuses()
        # Any client can ask for a name that nobody has heard of.
        wanted = {model: kind for model, kind in asked.items() if self._catalog.knows_model(model)}
        wanted |= {model: kind for kind, model in waiting}
        found = await read_readiness(self._catalog, wanted, taken)
        rows = [_readiness_object(each, waiting.get((each.kind, each.model), 0), wanted) for each in found]
        return sorted(rows, key=lambda row: (row.ready > 0, not row.asked, row.waiting == 0, row.model))

    async def _read_store(self) -> tuple[dict[tuple[Kind, str], int], list[str], dict[str, int]]:
        """Waiting tasks by kind and model, models of the last day, and the slots in use by account id."""
        group = tasks.c.kind, tasks.c.model
        queued = sa.select(*group, sa.func.count()).where(*WAITING).group_by(*group)
        first_hour = int(clock.now()) // HOUR - ASKED_HOURS
        ended = sa.select(rollup.c.model).where(rollup.c.hour >= first_hour).distinct()
        used = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
        async with self._database.read() as connection:
            waiting = {(kind, model): int(count) for kind, model, count in await connection.execute(queued)}
            recent = [row[0] for row in await connection.execute(ended)]
            taken = {row[0]: int(row[1]) for row in await connection.execute(used)}
        return waiting, recent, taken


def _readiness_object(
    found: ModelReadiness, waiting: int, wanted: Mapping[str, Kind | None]
) -> ReadinessObject:
    return ReadinessObject(
        model=found.model,
        kind=found.kind,
        accounts=found.accounts,
        ready=found.ready,
        full=found.full,
        blocked=blocked_groups(found.blocked),
        waiting=waiting,
        asked=found.model in wanted,
    )
