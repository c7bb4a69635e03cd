"""What the operator holds back: a model, or an account.

A paused account gets nothing new, and a paused model is sent to nobody. Tasks are taken in and wait, and say so; those that
have an account go on. A task that waits for nothing but a pause keeps its deadline away (``tasks/admission/held_back.py``).
A relayed call can't wait: it goes to another account, or is refused.

Crash points: a pause is one row, written or deleted at once, and every process reads it anew within two seconds.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa

from app import clock
from app.accounts.status import AccountStatus
from app.catalog.candidates import Candidate, ExcludedAccount
from app.db.changes import announce_change
from app.db.operator_tables import pauses
from app.db.session import DATABASE_AWAY, INSERTS, Database
from app.errors import InvalidRequest, NotFound
from app.shared_reads import SharedRead

CACHE_SECONDS = 2.0
PauseSide = Literal["model", "account"]
ACCOUNT_PAUSED = "the account is paused"
PauseKey = tuple[str, str]
"""The side and the name."""


@dataclass(frozen=True, slots=True)
class Pause:
    """``name``: a public model's name, or an account's id. ``since``: UTC seconds."""

    side: PauseSide
    name: str
    since: float
    by: str
    note: str = ""


class PauseRepository:
    """The pauses, read from memory."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.last: Mapping[PauseKey, Pause] = {}
        """As they were read last."""
        self.revision = 0
        """Changes whenever ``last`` does."""
        self._reads = SharedRead(self._read, seconds=CACHE_SECONDS, away=DATABASE_AWAY)

    async def current(self) -> Mapping[PauseKey, Pause]:
        """At most two seconds old."""
        return await self._reads.get()

    @property
    def is_fresh(self) -> bool:
        return self._reads.is_fresh

    def invalidate_cache(self) -> None:
        self._reads.expire()

    async def refresh(self) -> None:
        await self._reads.read_anew()

    async def close(self) -> None:
        await self._reads.close()

    async def pause(self, side: PauseSide, name: str, *, by: str, note: str = "") -> Pause:
        """One that is paused stays as it is. Raises ``InvalidRequest``."""
        if not name.strip() or len(name) > 200 or "\0" in name:
            raise InvalidRequest("name must be the name of a model, or the id of an account", param="name")
        row = {"side": side, "name": name, "since": clock.now(), "by": by, "note": note}
        async with self._database.write() as connection:
            new = INSERTS[connection.dialect.name](pauses).values(row).on_conflict_do_nothing()
            await connection.execute(new)
            await announce_change(connection, "routes")
        await self.refresh()
        return self.last.get((side, name)) or Pause(side, name, clock.now(), by, note)

    async def resume(self, side: PauseSide, name: str) -> None:
        """Raises ``NotFound`` for what is not paused."""
        mine = pauses.c.side == side, pauses.c.name == name
        async with self._database.write() as connection:
            done = await connection.execute(sa.delete(pauses).where(*mine))
            await announce_change(connection, "routes")
        await self.refresh()
        if done.rowcount == 0:
            raise NotFound(f"The {side} {name[:100]} is not paused.")

    def applied_to(
        self, assessed: Sequence[Candidate | ExcludedAccount], names: Collection[str]
    ) -> list[Candidate | ExcludedAccount]:
        """``names``: the public model's name, and those that its aliases lead to."""
        if not self.last:
            return list(assessed)
        paused = next((name for name in names if ("model", name) in self.last), None)
        return list(self._each_applied(assessed, paused))

    def marked(self, status: AccountStatus) -> AccountStatus:
        """An account's status with what pauses it, for those who show it."""
        is_paused = ("account", status.account.id) in self.last
        return replace(status, paused=ACCOUNT_PAUSED) if is_paused else status

    def _each_applied(
        self, assessed: Iterable[Candidate | ExcludedAccount], model: str | None
    ) -> Iterable[Candidate | ExcludedAccount]:
        for each in assessed:
            if isinstance(each, Candidate) and model is not None:
                yield replace(each, status=replace(each.status, paused=f"the model {model} is paused"))
            elif isinstance(each, Candidate) and ("account", each.account.id) in self.last:
                yield replace(each, status=replace(each.status, paused=ACCOUNT_PAUSED))
            else:
                yield each

    async def _read(self) -> Mapping[PauseKey, Pause]:
        async with self._database.read_few() as connection:
            rows = await connection.execute(sa.select(pauses).order_by(pauses.c.side, pauses.c.name))
            found = {(row.side, row.name): Pause(**row._mapping) for row in rows}
        if found != self.last:
            self.last = found
            self.revision += 1
        return found
