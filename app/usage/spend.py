"""Spending by end user and by tag, from the rows of usage: as far back as these are kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import sqlalchemy as sa

from app.db.session import Database
from app.db.tables import usage
from app.late import LateModule

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
else:
    postgresql = LateModule("sqlalchemy.dialects.postgresql")

SpendGroup = Literal["user", "tag", "key", "project"]
MOST_LINES = 1000


@dataclass(frozen=True, slots=True)
class SpendLine:
    """``name``: None for what names nobody, or has no tag. ``cost``: US dollars that keys pay. What has several tags is
    counted in full in each of their lines."""

    name: str | None
    requests: int
    films: int
    cost: Decimal


@dataclass(frozen=True, slots=True)
class SpendSpan:
    """From ``since`` until before ``until``, in UTC seconds; ``project_id`` and ``key_id`` narrow it."""

    since: float
    until: float
    project_id: str | None = None
    key_id: str | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        found = [usage.c.at >= self.since, usage.c.at < self.until]
        if self.project_id is not None:
            found.append(usage.c.project_id == self.project_id)
        if self.key_id is not None:
            found.append(usage.c.key_id == self.key_id)
        return found


async def spend_lines(
    database: Database, by: SpendGroup, span: SpendSpan, *, limit: int = MOST_LINES
) -> Sequence[SpendLine]:
    """The dearest first, at most ``limit`` of them."""
    async with database.read() as connection:
        name, source = _name_of(by, connection.dialect.name)
        cost = sa.func.sum(usage.c.cost)
        query = (
            sa.select(name.label("name"), sa.func.count(), sa.func.sum(usage.c.films), cost)
            .select_from(source)
            .where(*span.conditions)
            .group_by(name)
            .order_by(cost.desc(), name)
            .limit(limit)
        )
        rows = (await connection.execute(query)).all()
    return [SpendLine(row[0], int(row[1]), int(row[2] or 0), row[3] or Decimal(0)) for row in rows]


def _name_of(by: SpendGroup, dialect: str) -> tuple[sa.ColumnElement[Any], sa.FromClause]:
    """What rows are grouped by, and where they are read from."""
    if by != "tag":
        columns = {"user": usage.c.end_user, "key": usage.c.key_id, "project": usage.c.project_id}
        return columns[by], usage
    each: Any
    if dialect == "postgresql":
        texts = sa.func.jsonb_array_elements_text(sa.cast(usage.c.tags, postgresql.JSONB))
        each = texts.table_valued("value").lateral()
    else:
        each = sa.func.json_each(usage.c.tags).table_valued("value")
    return each.c.value, usage.outerjoin(each, sa.true())
