"""Notifies the operator of money that is newly held."""

from typing import Any

import sqlalchemy as sa

from app.db.marks import FOREVER
from app.db.session import Database
from app.db.tables import format_money, tasks
from app.options import OptionsRepository
from app.tasks.held_money import HELD, sum_held_money
from app.webhooks.notice_options import NoticeOptions
from app.webhooks.notices import OperatorNotice, OperatorNotices

TOPIC = "money_held"
CHECK_SECONDS = 15.0


class HeldWatch:
    """One per worker. Several workers send each notice once, as the store remembers it."""

    def __init__(self, database: Database, options: OptionsRepository, notices: OperatorNotices) -> None:
        self._database = database
        self._options = options
        self._notices = notices
        self._notified = ""

    async def check(self) -> None:
        if not (await self._options.read(NoticeOptions)).receivers_of(TOPIC):
            return
        newest = await self._newest_held()
        if newest is None or newest.id == self._notified:
            return
        held = await sum_held_money(self._database)
        data = {"tasks": held.tasks, "amount": format_money(held.amount), "task": newest.id}
        data |= {"code": newest.error_code, "reason": newest.error_message}
        # Each newly held task is a notice of its own; those of one look are told together.
        await self._notices.write([OperatorNotice(TOPIC, data, once_until=FOREVER, edition=newest.id)])
        self._notified = newest.id

    async def _newest_held(self) -> Any:
        columns = tasks.c.id, tasks.c.error_code, tasks.c.error_message
        query = sa.select(*columns).where(HELD).order_by(tasks.c.finished_at.desc()).limit(1)
        async with self._database.read() as connection:
            return (await connection.execute(query)).first()
