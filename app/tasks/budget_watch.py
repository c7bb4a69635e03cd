"""Notifies the operator when little of a budget is left: once for each key or project and budget period."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
import structlog

from app import clock
from app.db.marks import FOREVER
from app.db.operator_tables import projects
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import Money, format_money, keys, spending
from app.errors import FilmgateError
from app.options import OptionsRepository
from app.usage.ledger import period_label, period_names, seconds_to_next
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.notices import OperatorNotice, OperatorNotices

log = structlog.get_logger()
TOPIC = "user_quota_too_low"
CHECK_SECONDS = 15.0
"""Budgets are checked this often, beside the path that spends them."""


@dataclass(frozen=True, slots=True)
class LowBudget:
    """A budget of a key or a project of which little is left. Amounts in US dollars."""

    key_id: str
    name: str
    project: str | None
    period: str
    budget: Decimal
    left: Decimal

    def as_notice(self, now: float) -> OperatorNotice:
        """``quota`` is what is left, as new-api names it. A changed budget causes a new notice."""
        data = {
            "quota": float(self.left),
            "budget": float(self.budget),
            "key": self.key_id,
            "name": self.name,
            "project": self.project,
            "period": self.period,
            "budget_kind": period_label(self.period),
        }
        lasts = seconds_to_next(self.period, now)
        until = FOREVER if lasts is None else now + lasts
        return OperatorNotice(TOPIC, data, once_until=until, edition=format_money(self.budget))


class BudgetWatch:
    """One per worker. Several workers send each notice once, as the store remembers it."""

    def __init__(self, database: Database, options: OptionsRepository, notices: OperatorNotices) -> None:
        self._database = database
        self._options = options
        self._notices = notices
        self._notified_marks: set[str] = set()

    async def run(self) -> None:
        while True:
            try:
                await self.check_budgets()
            except (*DATABASE_AWAY, FilmgateError) as error:
                log.warning("budgets.unwatched", error=type(error).__name__)
            await asyncio.sleep(CHECK_SECONDS)

    async def check_budgets(self) -> None:
        wanted = await self._options.read(NoticeOptions)
        if not wanted.receivers_of(TOPIC):
            return
        now = clock.now()
        found = await low_budgets(self._database, share=wanted.quota_share, now=now)
        notices = {notice.dedup_mark: notice for each in found for notice in [each.as_notice(now)]}
        await self._notices.write([notices[mark] for mark in notices.keys() - self._notified_marks])
        self._notified_marks = set(notices)  # Saves queries: the store remembers them as well.


async def low_budgets(database: Database, *, share: float, now: float) -> list[LowBudget]:
    """Budgets of enabled keys and projects of which less than ``share`` is left."""
    total = projects.c.budget_total + projects.c.credited
    async with database.read() as connection:
        rows = (await connection.execute(_low_query(keys, keys.c.budget_total, share=share, now=now))).all()
        rows = [*rows, *await connection.execute(_low_query(projects, total, share=share, now=now))]
    return [
        LowBudget(
            row.id, row.name, row.project, row.period, row.budget, max(row.budget - row.used, Decimal(0))
        )
        for row in rows
    ]


def _low_query(
    holders: sa.Table, budget_total: sa.ColumnElement[Any], *, share: float, now: float
) -> sa.Select[Any]:
    """Of keys or projects."""
    month, day, total = period_names(now)
    of_period = {month: holders.c.budget_monthly, day: holders.c.budget_daily, total: budget_total}
    budget = sa.case(*((spending.c.period == period, column) for period, column in of_period.items()))
    used = sa.type_coerce(spending.c.reserved + spending.c.spent, Money())
    spare = sa.type_coerce(budget, sa.BigInteger) * sa.literal(1 - share, sa.Float)
    project = holders.c.project if holders is keys else holders.c.name
    return (
        sa.select(holders.c.id, holders.c.name, project.label("project"), spending.c.period)
        .add_columns(sa.type_coerce(budget, Money()).label("budget"), used.label("used"))
        .join_from(holders, spending, spending.c.key_id == holders.c.id)
        .where(holders.c.enabled, spending.c.period.in_(of_period))
        .where(budget.is_not(None), sa.type_coerce(used, sa.BigInteger) > spare)
        .order_by(holders.c.id, spending.c.period)
    )
