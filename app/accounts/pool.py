"""The pool of upstream accounts: kept in the store, read from memory, cooled when they need rest."""

import time
import uuid
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from app.accounts import cooling
from app.accounts.drafts import AccountDraft
from app.accounts.network import WINDOW_SECONDS, Network
from app.accounts.notices import Listener, Notices
from app.accounts.rows import ACCOUNT_COLUMNS, account_of, cooldown_of, plain, standing_of, values_of
from app.accounts.standing import WHOLE, AccountStatus, Cooldown, CooldownCode, Obstacle, Source
from app.db.session import Database
from app.db.tables import accounts, cooldowns
from app.errors import (
    InvalidRequest,
    LocalFault,
    NetworkDown,
    NotFound,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamUnreachable,
)
from app.providers.base import Account, Provider
from app.vault import Vault

log = structlog.get_logger()
CACHE_SECONDS = 2.0


class AccountPool:
    """All accounts. ``build`` makes the provider that speaks for one."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        build: Callable[[Account], Provider],
        embedded: Account | None,
    ) -> None:
        self.database = database
        self.vault = vault
        self.notices = Notices()
        self._build = build
        self._embedded = embedded
        self._embedded_always = bool(embedded and embedded.options.get("always"))
        self._standings: dict[str, AccountStatus] = {}
        self._fresh_until = 0.0
        self._changes = 0
        self.edition = 0
        """Changes whenever ``remembered`` may say something new."""
        self._providers: dict[str, tuple[Account, Provider]] = {}
        self._retired: list[Provider] = []
        self.network = Network()
        self._counted: dict[str, dict[str, Cooldown]] = {}
        self._opened: dict[str, tuple[tuple[Any, ...], Account]] = {}
        self._unfit: dict[str, tuple[AccountStatus, InvalidRequest]] = {}

    def on_notice(self, listener: Listener) -> None:
        """Tell ``listener`` what the operator should hear about: see ``notices.py``."""
        self.notices.listen(listener)

    async def standings(self) -> list[AccountStatus]:
        """Every account, from memory when it was read in the last two seconds."""
        if time.monotonic() > self._fresh_until:
            await self.refresh()
        return list(self._standings.values())

    def remembered(self) -> list[AccountStatus]:
        """What ``standings`` last saw; for the relay's hot path."""
        return list(self._standings.values())

    @property
    def is_fresh(self) -> bool:
        """Whether ``remembered`` is what ``standings`` would answer."""
        return time.monotonic() <= self._fresh_until

    async def refresh(self) -> None:
        changes = self._changes
        async with self.database.read() as connection:
            rows = (await connection.execute(sa.select(accounts).order_by(accounts.c.created_at))).all()
            resting: dict[str, dict[str, Cooldown]] = defaultdict(dict)
            for row in await connection.execute(sa.select(cooldowns)):
                resting[row.account_id][row.model] = cooldown_of(row)
        found = self._fit([standing_of(row, self._account(row), resting.get(row.id, {})) for row in rows])
        if self._embedded and (self._embedded_always or not found):
            kept = self._standings.get(self._embedded.id) or AccountStatus(self._embedded, enabled=True)
            found[self._embedded.id] = replace(kept, cooldowns=resting.get(self._embedded.id, {}))
        self._standings = found
        self.edition += 1
        if changes == self._changes:  # else it may have been read before the change
            self._fresh_until = time.monotonic() + CACHE_SECONDS

    async def provider(self, account_id: str) -> Provider:
        """Who speaks for this account, also when it is disabled by now. Raises ``NotFound``, and
        ``InvalidRequest`` for one that can't work as it is set up."""
        if account_id not in self._standings:
            await self.refresh()
        if account_id in self._unfit:
            raise self._unfit[account_id][1]
        standing = self._standings.get(account_id)
        if standing is not None:
            return self.provider_for(standing.account)
        if self._embedded and account_id == self._embedded.id:
            return self.provider_for(self._embedded)  # its tasks outlive the first real account
        raise NotFound(f"There is no account {account_id} any more.")

    async def obstacle(self, account_id: str, model: str) -> Obstacle | None:
        """Why this account can't take an upstream model now."""
        await self.standings()
        standing = self._standings.get(account_id)
        gone = Obstacle("disabled", "disabled: removed")
        return standing.blocked_by(model, time.time()) if standing else gone

    def provider_for(self, account: Account) -> Provider:
        """The provider of an account that was read from this pool."""
        built = self._providers.get(account.id)
        if built is not None and built[0] == account:
            return built[1]
        if built is not None:
            self._retired.append(built[1])  # calls may still be under way on it
        provider = self._build(account)
        self._providers[account.id] = (account, provider)
        return provider

    def misconfigured(self) -> list[AccountStatus]:
        """Those that nobody can speak for as they are set up; they serve nothing and are no candidates."""
        return [replace(standing, fault=error.message) for standing, error in self._unfit.values()]

    def is_embedded(self, account_id: str) -> bool:
        """Whether it is the one that has no row of its own."""
        return self._embedded is not None and account_id == self._embedded.id

    async def check(self, account: Account) -> None:
        """Raises ``InvalidRequest`` that names what its provider can't work with, or a name that is built in."""
        if self._embedded is not None and account.name == self._embedded.name:
            raise name_taken(account.name)
        await self._build(account).close()

    async def add(self, account: Account, *, source: Source = "store") -> Account:
        """Keep an account as it is; ``AccountBook.add`` checks it first. Raises ``InvalidRequest`` when the
        name is taken."""
        draft = AccountDraft.of(AccountStatus(account, enabled=True))
        return replace(account, id=await self.insert(draft, source=source))

    async def insert(self, draft: AccountDraft, *, source: Source) -> str:
        """The new account's id; its secret is kept sealed."""
        account_id = uuid.uuid4().hex
        row = values_of(draft, account_id, self.vault)
        row |= {"id": account_id, "created_at": time.time(), "source": source}
        try:
            async with self.database.write() as connection:
                await connection.execute(sa.insert(accounts).values(row))
        except IntegrityError as error:
            raise name_taken(draft.name) from error
        self.forget()
        return account_id

    async def refused(self, account_id: str, model: str, error: UpstreamError) -> None:
        """An upstream refused work: let its account rest, or take it out, as the rules of ``cooling`` say."""
        if account_id not in self._standings:
            await self.refresh()
        standing = self._standings.get(account_id)
        if standing is None:
            return  # removed meanwhile
        if isinstance(error, UpstreamAuthFailed):
            await self.disable(account_id, reason=error.message)
            return
        now = time.time()
        if isinstance(error, UpstreamUnreachable) and self._is_ours(error, standing.account, now):
            await self._spare_unreachable(now)
            return
        if not isinstance(error, UpstreamUnreachable):
            self.network.answered()
        counted = self._counted.setdefault(account_id, {})
        before = {**standing.cooldowns, **counted}
        rests = cooling.judged(error, standing, model, before=before, now=now)
        for where, cooldown in rests.items():
            if cooldown.until <= now:
                counted[where] = cooldown  # not yet a rest: kept here, as it may be nothing
                continue
            counted.pop(where, None)
            await self._rest(account_id, where, cooldown)
        if standing.cooldowns.keys() & {WHOLE, model} - rests.keys():
            await self._end_tried(account_id, model, now)

    async def answered(self, account_id: str, model: str) -> None:
        """An upstream took work, or read it and said no to its content: runs of refusals end here."""
        now = time.time()
        self.network.answered()
        if self._counted.get(account_id):
            self._counted[account_id].pop(model, None)
        standing = self._standings.get(account_id)
        if standing is not None and standing.cooldowns.keys() & {WHOLE, model}:
            await self._end_tried(account_id, model, now)

    def in_trouble(self, account_id: str, model: str) -> bool:
        """Whether ``answered`` would be news; from memory."""
        standing = self._standings.get(account_id)
        return bool(self._counted.get(account_id) or (standing and standing.cooldowns))

    def try_out(self, account_id: str, model: str) -> None:
        """A request is out to see whether a rest is over; remembered, and in the store only if its sender wrote it."""
        standing = self._standings.get(account_id)
        if standing is None:
            return
        now = time.time()
        tried = {
            where: replace(cooldown, trial_at=now) if where in {WHOLE, model} else cooldown
            for where, cooldown in standing.cooldowns.items()
        }
        self._remember(replace(standing, cooldowns=tried))

    async def cool(
        self,
        account_id: str,
        *,
        seconds: float,
        reason: str,
        model: str = WHOLE,
        code: CooldownCode = "cooling",
    ) -> None:
        """Let an account, or one upstream model on it, rest; a longer rest that it has already stays."""
        now = time.time()
        await self._rest(account_id, model, Cooldown(plain(reason), now, now + seconds, code=code))

    async def clear(self, account_id: str, *, model: str | None = None) -> None:
        """End every rest of an account, or one (``*``: that of the account as a whole)."""
        log.info("account.cleared", account=account_id, model=model)
        self._counted.pop(account_id, None)
        await self._clear(account_id, None if model is None else [model])

    async def disable(self, account_id: str, *, reason: str) -> None:
        """Take an account out until the operator puts it back, and tell of it."""
        log.warning("account.disabled", account=account_id, reason=reason)
        standing = self._standings.get(account_id)
        await self.set_enabled(account_id, enabled=False, reason=reason)
        if standing is None or standing.enabled:  # ten tasks of it may be refused together
            name = self._name(account_id)
            self.notices.tell("account_disabled", account=account_id, name=name, reason=plain(reason))

    async def set_enabled(self, account_id: str, *, enabled: bool, reason: str | None = None) -> None:
        why = plain(reason) if reason else None
        standing = self._standings.get(account_id)
        if self._embedded and self.is_embedded(account_id):
            standing = standing or AccountStatus(self._embedded, enabled=True)
        else:
            async with self.database.write() as connection:
                await connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.id == account_id)
                    .values(enabled=enabled, disabled_reason=why)
                )
        if standing is not None:
            self._remember(replace(standing, enabled=enabled, disabled_reason=why))
        self.forget()

    def forget(self) -> None:
        """Read the store again at the next look."""
        self._changes += 1
        self._fresh_until = 0.0

    async def close(self) -> None:
        for provider in [*self._retired, *(built for _, built in self._providers.values())]:
            await provider.close()
        self._providers.clear()

    def _fit(self, found: list[AccountStatus]) -> dict[str, AccountStatus]:
        """Those that a provider can be built for: one that is set up badly must not stop the others."""
        known, self._unfit = self._unfit, {}
        fit: dict[str, AccountStatus] = {}
        for standing in found:
            account_id = standing.account.id
            try:
                self.provider_for(standing.account)
            except InvalidRequest as error:
                self._unfit[account_id] = (standing, error)
                if account_id not in known:
                    log.error("account.refused", account=account_id, reason=error.message)
            else:
                fit[account_id] = standing
        return fit

    async def _rest(self, account_id: str, model: str, cooldown: Cooldown) -> None:
        async with self.database.write() as connection:
            holds = await cooling.put(connection, account_id, model, cooldown=cooldown)
        standing = self._standings.get(account_id)
        if standing is not None:
            self._remember(replace(standing, cooldowns={**standing.cooldowns, model: holds}))
        if holds is not cooldown:
            return
        seconds = round(cooldown.until - cooldown.since, 1)
        log.info("account.cooled", account=account_id, model=model, seconds=seconds, reason=cooldown.reason)
        self.notices.tell(
            "account_cooling_down",
            account=account_id,
            name=self._name(account_id),
            model=model,
            code=cooldown.code,
            reason=cooldown.reason,
            until=cooldown.until,
        )

    async def _clear(self, account_id: str, models: list[str] | None) -> None:
        async with self.database.write() as connection:
            await cooling.remove(connection, account_id, models)
        self._remember_ended(account_id, models)

    async def _end_tried(self, account_id: str, model: str, now: float) -> None:
        """An upstream spoke: rests that are over, or that a trial was out for, end."""
        async with self.database.write() as connection:
            over = await cooling.end_tried(connection, account_id, model, now=now)
        if over:
            self._remember_ended(account_id, over)

    def _remember_ended(self, account_id: str, models: list[str] | None) -> None:
        standing = self._standings.get(account_id)
        if standing is not None:
            gone = standing.cooldowns.keys() if models is None else set(models)
            kept = {model: c for model, c in standing.cooldowns.items() if model not in gone}
            self._remember(replace(standing, cooldowns=kept))

    def _is_ours(self, error: UpstreamUnreachable, account: Account, now: float) -> bool:
        """Whether the fault is on our side of the network."""
        if isinstance(error, LocalFault):
            return True
        host = urlsplit(account.proxy or self.provider_for(account).http.base_url).netloc
        return self.network.failed(host, now, down=isinstance(error, NetworkDown))

    async def _spare_unreachable(self, now: float) -> None:
        """Our own network is down: who was sent to rest for it a moment ago is not to blame either."""
        log.warning("network.suspected")
        for standing in list(self._standings.values()):
            cooldown = standing.cooldowns.get(WHOLE)
            recent = cooldown is not None and cooldown.since > now - WINDOW_SECONDS
            if cooldown is not None and cooldown.code == "unreachable" and recent:
                await self._clear(standing.account.id, [WHOLE])

    def _remember(self, standing: AccountStatus) -> None:
        self._standings[standing.account.id] = standing
        self.edition += 1

    def _name(self, account_id: str) -> str:
        standing = self._standings.get(account_id)
        return standing.account.name if standing else ""

    def _account(self, row: Any) -> Account:
        """The same object as long as nothing about it changes, so that its provider stays too; secrets are
        opened again only when they have been changed."""
        told = tuple(getattr(row, name) for name in ACCOUNT_COLUMNS)
        known = self._opened.get(row.id)
        if known is None or known[0] != told:
            known = self._opened[row.id] = (told, account_of(row, self.vault))
        return known[1]


def name_taken(name: str) -> InvalidRequest:
    return InvalidRequest(f"An account named {name} exists already.", param="name")
