"""Accounts as the operator manages them: added, changed, disabled, enabled and removed."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app import clock
from app.accounts import suspensions
from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.pool import AccountPool, name_taken_error
from app.accounts.removal import move_out
from app.accounts.rows import SEALED_PLACES, column_values, columns_of_fields
from app.accounts.status import AccountStatus, Source
from app.db.changes import announce_change
from app.db.tables import accounts, slots
from app.errors import IN_FILE, InvalidRequest, NotFound
from app.providers.base import Account, AccountCheck


class AccountRepository:
    """``which`` is an account's id or name. Raises ``NotFound`` for an unknown account, and ``InvalidRequest`` with
    ``param`` for an invalid value. An account that the configuration file declares (``source`` is ``file``) can only
    be changed with ``source="file"``."""

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool

    async def list_all(self) -> list[AccountStatus]:
        """Every account, oldest first, including those whose configuration has a ``problem``."""
        await self._pool.refresh()
        return await self.list_known()

    async def list_known(self) -> list[AccountStatus]:
        """``list_all``, of what was read within the last two seconds."""
        await self._pool.current_statuses()
        statuses = [*self._pool.cached_statuses(), *self._pool.misconfigured()]
        return sorted(statuses, key=lambda status: status.created_at)

    async def find(self, which: str) -> AccountStatus:
        statuses = await self.list_all()
        for status in statuses:
            if status.account.id == which:
                return status
        for status in statuses:
            if status.account.name == which:
                return status
        raise NotFound(f"There is no account {which}. `filmgate accounts list` shows them.")

    async def add(self, draft: AccountDraft, *, source: Source = "store") -> AccountStatus:
        """Raises ``InvalidRequest`` for a name that exists, and for values that the provider rejects."""
        await self._pool.check_account(draft.as_account(""))
        return await self.find(await self._pool.insert_draft(draft, source=source))

    async def update(self, which: str, change: AccountChange, *, source: Source = "store") -> AccountStatus:
        """Writes only the columns of the given fields, so that two changes of different fields do not collide."""
        status = await self._find_writable(which, source)
        draft = change.applied_to(status)
        await self._pool.check_account(draft.as_account(status.account.id))
        columns = columns_of_fields(change.model_fields_set)
        values = column_values(draft, status.account.id, self._pool.vault)
        decides = "enabled" in change.model_fields_set
        if decides:
            values["disabled_reason"] = None if draft.enabled else "by the operator"
        written = {name: values[name] for name in columns & values.keys()}
        await self._write_columns(status.account, written, enabled=draft.enabled if decides else None)
        return await self.find(status.account.id)

    async def rotate_secret(self, which: str, secret: str, *, source: Source = "store") -> AccountStatus:
        """Replace the secret; running tasks use it too. What the operator disabled stays so; what a refusal disabled is
        looked at again at once."""
        account = (await self._find_writable(which, source)).account
        await self._pool.check_account(replace(account, secret=secret))
        sealed = self._pool.vault.seal(secret, place=SEALED_PLACES["secret"](account.id))
        await self._write_columns(account, {"secret": sealed})
        async with self._pool.database.write() as connection:
            await suspensions.look_soon(connection, account.id, now=clock.now())
        return await self.find(account.id)

    async def duplicate(self, which: str, *, name: str, secret: str | None = None) -> AccountStatus:
        """Add a copy under another name, with the same secret unless one is given. A quota of the copy is full."""
        draft = AccountDraft.of_status(await self._find_writable(which, "file"))
        quota = draft.quota and draft.quota.model_copy(update={"left": None})
        given = {"name": name, "secret": draft.secret if secret is None else secret, "quota": quota}
        return await self.add(AccountDraft.model_validate(draft.model_dump() | given))

    async def record_test(self, account_id: str, check: AccountCheck) -> None:
        """Remember a passed test: for such an account the studio steps aside. A vendor that only answered proves nothing
        about the key."""
        if check.verdict != "accepted" or self._pool.is_embedded(account_id):
            return
        async with self._pool.database.write() as connection:
            values = {"tested_at": clock.now()}
            await connection.execute(sa.update(accounts).where(accounts.c.id == account_id).values(values))
            await announce_change(connection, "accounts")
        self._pool.invalidate_cache()

    async def enable(self, which: str) -> AccountStatus:
        """Enable the account and clear its cooldowns."""
        account = (await self.find(which)).account
        await self._pool.clear_cooldowns(account.id)
        await self._pool.set_enabled(account.id, enabled=True)
        return await self.find(account.id)

    async def disable(self, which: str, *, reason: str = "by the operator") -> AccountStatus:
        """The account gets no new tasks; its running tasks are still polled and their results fetched."""
        account = (await self.find(which)).account
        await self._pool.set_enabled(account.id, enabled=False, reason=reason)
        return await self.find(account.id)

    async def drain(self, which: str) -> int:
        """Disable the account until its tasks have ended; returns how many still run on it."""
        status = await self.disable(which, reason="draining")
        return await self._count_slots(status.account.id)

    async def remove(self, which: str, *, force: bool = False, source: Source = "store") -> None:
        """Raises ``InvalidRequest`` while tasks run on the account. With ``force`` these tasks fail. ``removal.put_back``
        undoes it for some minutes."""
        account = (await self._find_writable(which, source)).account
        busy = 0 if force else await self._count_slots(account.id)
        if busy:
            raise InvalidRequest(
                f"{busy} tasks still run on {account.name}: drain it and wait, or remove it by force, "
                "and they end as failed.",
                param="force",
            )
        async with self._pool.database.write() as connection:
            await move_out(connection, [account.id], now=clock.now())
        await self._pool.refresh()

    async def clear_cooldown(self, which: str, *, model: str | None = None) -> AccountStatus:
        """Clear every cooldown of the account, or that of one upstream model (``*``: of the whole account)."""
        account = (await self.find(which)).account
        await self._pool.clear_cooldowns(account.id, model=model)
        return await self.find(account.id)

    async def _find_writable(self, which: str, source: Source) -> AccountStatus:
        status = await self.find(which)
        if self._pool.is_embedded(status.account.id):
            raise InvalidRequest(
                "The studio is built in: FILMGATE_STUDIO turns it on and off.", reason="built_in"
            )
        if status.source == "file" and source != "file":
            raise InvalidRequest(f"{status.account.name} {IN_FILE}", reason="declared_in_file")
        return status

    async def _write_columns(
        self, account: Account, values: dict[str, Any], *, enabled: bool | None = None
    ) -> None:
        """``enabled``: what the operator decides about the account; None where that stays."""
        if not values:
            return
        try:
            async with self._pool.database.write() as connection:
                await connection.execute(
                    sa.update(accounts).where(accounts.c.id == account.id).values(**values)
                )
                if enabled is not None:
                    await suspensions.note_operators(connection, account.id, enabled=enabled, now=clock.now())
                await announce_change(connection, "accounts")
        except IntegrityError as error:
            raise name_taken_error(str(values.get("name", account.name))) from error

    async def _count_slots(self, account_id: str) -> int:
        query = sa.select(sa.func.count()).where(slots.c.account_id == account_id)
        async with self._pool.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())
