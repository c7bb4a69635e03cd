"""Tells the operator when little is left of a key's budget: once for each period of each key."""

import asyncio
import time
from dataclasses import dataclass
from decimal import Decimal

import sqlalchemy as sa
import structlog

from app.db.marks import FOR_EVER
from app.db.money import Money, shown
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import keys, spending
from app.errors import FilmgateError
from app.options.options import Options
from app.usage.periods import ends_in, periods, word
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.notices import Notice, OperatorNotices

log = structlog.get_logger()
TOPIC = "user_quota_too_low"
LOOK_SECONDS = 15.0
"""Spending waits for no notice: it is looked at beside it, this often."""


@dataclass(frozen=True, slots=True)
class Low:
    """A budget of which little is left, in US dollars."""

    key_id: str
    name: str
    project: str | None
    period: str
    budget: Decimal
    left: Decimal

    def notice(self, now: float) -> Notice:
        """``quota`` is what is left, as the manual has it. A budget that was changed is told of anew."""
        data = {
            "quota": float(self.left),
            "budget": float(self.budget),
            "key": self.key_id,
            "name": self.name,
            "project": self.project,
            "period": self.period,
            "budget_kind": word(self.period),
        }
        lasts = ends_in(self.period, now)
        until = FOR_EVER if lasts is None else now + lasts
        return Notice(TOPIC, data, once_until=until, edition=shown(self.budget))


class BudgetWatch:
    """One per worker; several tell no more than one."""

    def __init__(self, database: Database, options: Options, notices: OperatorNotices) -> None:
        self._database = database
        self._options = options
        self._notices = notices
        self._told: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                await self.look()
            except (*DATABASE_AWAY, FilmgateError) as error:
                log.warning("budgets.unwatched", error=type(error).__name__)
            await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        wanted = await self._options.read(NoticeOptions)
        if not wanted.told_of(TOPIC):
            return
        now = time.time()
        found = await low(self._database, share=wanted.quota_share, now=now)
        notices = {notice.mark: notice for each in found for notice in [each.notice(now)]}
        await self._notices.write([notices[mark] for mark in notices.keys() - self._told])
        self._told = set(notices)  # the store knows as well; this spares it the asking


async def low(database: Database, *, share: float, now: float) -> list[Low]:
    """Budgets of keys in use of which less than ``share`` is left."""
    month, day, total = periods(now)
    of_period = {month: keys.c.budget_monthly, day: keys.c.budget_daily, total: keys.c.budget_total}
    budget = sa.case(*((spending.c.period == period, column) for period, column in of_period.items()))
    used = sa.type_coerce(spending.c.reserved + spending.c.spent, Money())
    spare = sa.type_coerce(budget, sa.BigInteger) * sa.literal(1 - share, sa.Float)
    query = (
        sa.select(keys.c.id, keys.c.name, keys.c.project, spending.c.period)
        .add_columns(budget.label("budget"), used.label("used"))
        .join_from(keys, spending, spending.c.key_id == keys.c.id)
        .where(keys.c.enabled, spending.c.period.in_(of_period))
        .where(budget.is_not(None), sa.type_coerce(used, sa.BigInteger) > spare)
        .order_by(keys.c.id, spending.c.period)
    )
    async with database.read() as connection:
        rows = (await connection.execute(query)).all()
    return [
        Low(row.id, row.name, row.project, row.period, row.budget, max(row.budget - row.used, Decimal(0)))
        for row in rows
    ]
