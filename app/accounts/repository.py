"""The operator's side of the pool: accounts added, changed, taken out, put back and removed."""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from app.accounts.definition import AccountChange, AccountDraft
from app.accounts.pool import AccountPool, name_taken_error
from app.accounts.rows import account_of_draft, column_values, columns_of_fields
from app.accounts.status import AccountStatus, Source
from app.db.tables import accounts, cooldowns, slots
from app.errors import InvalidRequest, NotFound
from app.providers.base import Account
from app.vault import account_secret_place


class AccountRepository:
    """``which`` is an account's id or name. Raises ``NotFound`` for one that there is not, and
    ``InvalidRequest`` with ``param`` for what can't be. An account from the configuration file (``source``
    ``file``) is changed only by who says ``source="file"``."""

    def __init__(self, pool: AccountPool) -> None:
        self._pool = pool

    async def list_all(self) -> list[AccountStatus]:
        """Every account, oldest first, also those that nobody can speak for as they are set up (``fault``)."""
        await self._pool.refresh()
        found = [*self._pool.cached_statuses(), *self._pool.misconfigured()]
        return sorted(found, key=lambda standing: standing.created_at)

    async def find(self, which: str) -> AccountStatus:
        everyone = await self.list_all()
        for standing in everyone:
            if standing.account.id == which:
                return standing
        for standing in everyone:
            if standing.account.name == which:
                return standing
        raise NotFound(f"There is no account {which}. `filmgate accounts list` shows them.")

    async def add(self, draft: AccountDraft, *, source: Source = "store") -> AccountStatus:
        """Raises ``InvalidRequest`` for a taken name and for what its provider can't work with."""
        await self._pool.check_account(account_of_draft(draft, ""))
        return await self.find(await self._pool.insert_draft(draft, source=source))

    async def update(self, which: str, change: AccountChange, *, source: Source = "store") -> AccountStatus:
        """Only the columns of what is given are written: two who change different things don't meet."""
        standing = await self._find_writable(which, source)
        draft = change.applied_to(standing)
        await self._pool.check_account(account_of_draft(draft, standing.account.id))
        columns = columns_of_fields(change.model_fields_set)
        values = column_values(draft, standing.account.id, self._pool.vault)
        if "enabled" in change.model_fields_set:
            values["disabled_reason"] = None if draft.enabled else "by the operator"
        await self._write_columns(standing.account, {name: values[name] for name in columns & values.keys()})
        return await self.find(standing.account.id)

    async def rotate_secret(self, which: str, secret: str, *, source: Source = "store") -> AccountStatus:
        """A new secret; what runs goes on with it. One that was disabled stays so until it is enabled."""
        account = (await self._find_writable(which, source)).account
        await self._pool.check_account(replace(account, secret=secret))
        sealed = self._pool.vault.seal(secret, place=account_secret_place(account.id))
        await self._write_columns(account, {"secret": sealed})
        return await self.find(account.id)

    async def duplicate(self, which: str, *, name: str, secret: str | None = None) -> AccountStatus:
        """The same account again under another name, with its secret unless another is given; a counted quota
        begins full."""
        draft = AccountDraft.of_status(await self._find_writable(which, "file"))
        quota = draft.quota and draft.quota.model_copy(update={"left": None})
        given = {"name": name, "secret": draft.secret if secret is None else secret, "quota": quota}
        return await self.add(AccountDraft.model_validate(draft.model_dump() | given))

    async def enable(self, which: str) -> AccountStatus:
        """Put it back, and end its cooldowns."""
        account = (await self.find(which)).account
        await self._pool.clear_cooldowns(account.id)
        await self._pool.set_enabled(account.id, enabled=True)
        return await self.find(account.id)

    async def disable(self, which: str, *, reason: str = "by the operator") -> AccountStatus:
        """Nothing new goes there; what runs there is still polled and fetched."""
        account = (await self.find(which)).account
        await self._pool.set_enabled(account.id, enabled=False, reason=reason)
        return await self.find(account.id)

    async def drain(self, which: str) -> int:
        """Disable it until its work is done and it can be removed; how many tasks still run on it."""
        standing = await self.disable(which, reason="draining")
        return await self._count_slots(standing.account.id)

    async def remove(self, which: str, *, force: bool = False, source: Source = "store") -> None:
        """Raises ``InvalidRequest`` while tasks run on it, unless ``force``: they then end as failed."""
        account = (await self._find_writable(which, source)).account
        busy = 0 if force else await self._count_slots(account.id)
        if busy:
            raise InvalidRequest(
                f"{busy} tasks still run on {account.name}: drain it and wait, or remove it by force, "
                "and they end as failed.",
                param="force",
            )
        async with self._pool.database.write() as connection:
            await connection.execute(sa.delete(accounts).where(accounts.c.id == account.id))
            await connection.execute(sa.delete(cooldowns).where(cooldowns.c.account_id == account.id))
        await self._pool.refresh()

    async def clear_cooldown(self, which: str, *, model: str | None = None) -> AccountStatus:
        """End every rest of the account, or that of one upstream model (``*``: of the account as a whole)."""
        account = (await self.find(which)).account
        await self._pool.clear_cooldowns(account.id, model=model)
        return await self.find(account.id)

    async def _find_writable(self, which: str, source: Source) -> AccountStatus:
        standing = await self.find(which)
        if self._pool.is_embedded(standing.account.id):
            raise InvalidRequest("The studio is built in: FILMGATE_STUDIO turns it on and off.")
        if standing.source == "file" and source != "file":
            raise InvalidRequest(
                f"{standing.account.name} is declared in the configuration file: change it there."
            )
        return standing

    async def _write_columns(self, account: Account, values: dict[str, Any]) -> None:
        if not values:
            return
        try:
            async with self._pool.database.write() as connection:
                await connection.execute(
                    sa.update(accounts).where(accounts.c.id == account.id).values(**values)
                )
        except IntegrityError as error:
            raise name_taken_error(str(values.get("name", account.name))) from error

    async def _count_slots(self, account_id: str) -> int:
        query = sa.select(sa.func.count()).where(slots.c.account_id == account_id)
        async with self._pool.database.read() as connection:
            return int((await connection.execute(query)).scalar_one())
