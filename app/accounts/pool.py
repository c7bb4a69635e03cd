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

from app.accounts import cooldown_rules
from app.accounts.definition import ACCOUNT_FIELDS, AccountDraft
from app.accounts.network import WINDOW_SECONDS, NetworkMonitor
from app.accounts.notices import NoticeListener, NoticePublisher
from app.accounts.rows import (
    account_of_row,
    column_values,
    cooldown_of_row,
    plain_reason,
    status_of_row,
)
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus, BlockReason, Cooldown, CooldownCode, Source
from app.db.session import Database
from app.db.tables import accounts, cooldowns
from app.errors import (
    InvalidRequest,
    LocalConnectionsExhausted,
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
        self.notices = NoticePublisher()
        self._build = build
        self._embedded = embedded
        self._embedded_always = bool(embedded and embedded.options.get("always"))
        self._statuses: dict[str, AccountStatus] = {}
        self._fresh_until = 0.0
        self._changes = 0
        self.revision = 0
        """Changes whenever ``remembered`` may say something new."""
        self._providers: dict[str, tuple[Account, Provider]] = {}
        self._retired: list[Provider] = []
        self.network = NetworkMonitor()
        self._strikes: dict[str, dict[str, Cooldown]] = {}
        self._parsed_rows: dict[str, tuple[tuple[Any, ...], Account]] = {}
        self._misconfigured: dict[str, tuple[AccountStatus, InvalidRequest]] = {}

    def on_notice(self, listener: NoticeListener) -> None:
        """Tell ``listener`` what the operator should hear about: see ``notices.py``."""
        self.notices.add_listener(listener)

    async def current_statuses(self) -> list[AccountStatus]:
        """Every account, from memory when it was read in the last two seconds."""
        if time.monotonic() > self._fresh_until:
            await self.refresh()
        return list(self._statuses.values())

    def cached_statuses(self) -> list[AccountStatus]:
        """What ``standings`` last saw; for the relay's hot path."""
        return list(self._statuses.values())

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
                resting[row.account_id][row.model] = cooldown_of_row(row)
        found = self._without_misconfigured(
            [status_of_row(row, self._account_of_row(row), resting.get(row.id, {})) for row in rows]
        )
        if self._embedded and (self._embedded_always or not found):
            kept = self._statuses.get(self._embedded.id) or AccountStatus(self._embedded, enabled=True)
            found[self._embedded.id] = replace(kept, cooldowns=resting.get(self._embedded.id, {}))
        self._statuses = found
        self.revision += 1
        if changes == self._changes:  # else it may have been read before the change
            self._fresh_until = time.monotonic() + CACHE_SECONDS

    async def provider_by_id(self, account_id: str) -> Provider:
        """Who speaks for this account, also when it is disabled by now. Raises ``NotFound``, and
        ``InvalidRequest`` for one that can't work as it is set up."""
        if account_id not in self._statuses:
            await self.refresh()
        if account_id in self._misconfigured:
            raise self._misconfigured[account_id][1]
        standing = self._statuses.get(account_id)
        if standing is not None:
            return self.provider_for(standing.account)
        if self._embedded and account_id == self._embedded.id:
            return self.provider_for(self._embedded)  # its tasks outlive the first real account
        raise NotFound(f"There is no account {account_id} any more.")

    async def blocked_by(self, account_id: str, model: str) -> BlockReason | None:
        """Why this account can't take an upstream model now."""
        await self.current_statuses()
        standing = self._statuses.get(account_id)
        gone = BlockReason("disabled", "disabled: removed")
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
        return [replace(standing, problem=error.message) for standing, error in self._misconfigured.values()]

    def is_embedded(self, account_id: str) -> bool:
        """Whether it is the one that has no row of its own."""
        return self._embedded is not None and account_id == self._embedded.id

    async def check_account(self, account: Account) -> None:
        """Raises ``InvalidRequest`` that names what its provider can't work with, or a name that is built in."""
        if self._embedded is not None and account.name == self._embedded.name:
            raise name_taken_error(account.name)
        await self._build(account).close()

    async def add(self, account: Account, *, source: Source = "store") -> Account:
        """Keep an account as it is; ``AccountRepository.add`` checks it first. Raises ``InvalidRequest`` when the
        name is taken."""
        draft = AccountDraft.of_status(AccountStatus(account, enabled=True))
        return replace(account, id=await self.insert_draft(draft, source=source))

    async def insert_draft(self, draft: AccountDraft, *, source: Source) -> str:
        """The new account's id; its secret is kept sealed."""
        account_id = uuid.uuid4().hex
        row = column_values(draft, account_id, self.vault)
        row |= {"id": account_id, "created_at": time.time(), "source": source}
        try:
            async with self.database.write() as connection:
                await connection.execute(sa.insert(accounts).values(row))
        except IntegrityError as error:
            raise name_taken_error(draft.name) from error
        self.invalidate_cache()
        return account_id

    async def record_refusal(self, account_id: str, model: str, error: UpstreamError) -> None:
        """An upstream refused work: let its account rest, or take it out, as the rules of ``cooling`` say."""
        if account_id not in self._statuses:
            await self.refresh()
        standing = self._statuses.get(account_id)
        if standing is None:
            return  # removed meanwhile
        if isinstance(error, UpstreamAuthFailed):
            await self.disable(account_id, reason=error.message)
            return
        now = time.time()
        if isinstance(error, UpstreamUnreachable) and self._is_our_network(error, standing.account, now):
            await self._lift_network_cooldowns(now)
            return
        if not isinstance(error, UpstreamUnreachable):
            self.network.record_answer()
        counted = self._strikes.setdefault(account_id, {})
        before = {**standing.cooldowns, **counted}
        rests = cooldown_rules.cooldowns_after(error, standing, model, before=before, now=now)
        for where, cooldown in rests.items():
            if cooldown.until <= now:
                counted[where] = cooldown  # not yet a rest: kept here, as it may be nothing
                continue
            counted.pop(where, None)
            await self._save_cooldown(account_id, where, cooldown)
        if standing.cooldowns.keys() & {WHOLE_ACCOUNT, model} - rests.keys():
            await self._delete_disproved(account_id, model, now)

    async def record_answer(self, account_id: str, model: str) -> None:
        """An upstream took work, or read it and said no to its content: runs of refusals end here."""
        now = time.time()
        self.network.record_answer()
        if self._strikes.get(account_id):
            self._strikes[account_id].pop(model, None)
        standing = self._statuses.get(account_id)
        if standing is not None and standing.cooldowns.keys() & {WHOLE_ACCOUNT, model}:
            await self._delete_disproved(account_id, model, now)

    def has_failures(self, account_id: str, model: str) -> bool:
        """Whether ``answered`` would be news; from memory."""
        standing = self._statuses.get(account_id)
        return bool(self._strikes.get(account_id) or (standing and standing.cooldowns))

    def mark_trial(self, account_id: str, model: str) -> None:
        """A request is out to see whether a rest is over; remembered, and in the store only if its sender wrote it."""
        standing = self._statuses.get(account_id)
        if standing is None:
            return
        now = time.time()
        tried = {
            where: replace(cooldown, trial_at=now) if where in {WHOLE_ACCOUNT, model} else cooldown
            for where, cooldown in standing.cooldowns.items()
        }
        self._cache_status(replace(standing, cooldowns=tried))

    async def start_cooldown(
        self,
        account_id: str,
        *,
        seconds: float,
        reason: str,
        model: str = WHOLE_ACCOUNT,
        code: CooldownCode = "cooling",
    ) -> None:
        """Let an account, or one upstream model on it, rest; a longer rest that it has already stays."""
        now = time.time()
        await self._save_cooldown(
            account_id, model, Cooldown(plain_reason(reason), now, now + seconds, code=code)
        )

    async def clear_cooldowns(self, account_id: str, *, model: str | None = None) -> None:
        """End every rest of an account, or one (``*``: that of the account as a whole)."""
        log.info("account.cleared", account=account_id, model=model)
        self._strikes.pop(account_id, None)
        await self._delete_cooldowns(account_id, None if model is None else [model])

    async def disable(self, account_id: str, *, reason: str) -> None:
        """Take an account out until the operator puts it back, and tell of it."""
        log.warning("account.disabled", account=account_id, reason=reason)
        standing = self._statuses.get(account_id)
        await self.set_enabled(account_id, enabled=False, reason=reason)
        if standing is None or standing.enabled:  # ten tasks of it may be refused together
            name = self._account_name(account_id)
            self.notices.publish(
                "account_disabled", account=account_id, name=name, reason=plain_reason(reason)
            )

    async def set_enabled(self, account_id: str, *, enabled: bool, reason: str | None = None) -> None:
        why = plain_reason(reason) if reason else None
        standing = self._statuses.get(account_id)
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
            self._cache_status(replace(standing, enabled=enabled, disabled_reason=why))
        self.invalidate_cache()

    def invalidate_cache(self) -> None:
        """Read the store again at the next look."""
        self._changes += 1
        self._fresh_until = 0.0

    async def close(self) -> None:
        for provider in [*self._retired, *(built for _, built in self._providers.values())]:
            await provider.close()
        self._providers.clear()

    def _without_misconfigured(self, found: list[AccountStatus]) -> dict[str, AccountStatus]:
        """Those that a provider can be built for: one that is set up badly must not stop the others."""
        known, self._misconfigured = self._misconfigured, {}
        fit: dict[str, AccountStatus] = {}
        for standing in found:
            account_id = standing.account.id
            try:
                self.provider_for(standing.account)
            except InvalidRequest as error:
                self._misconfigured[account_id] = (standing, error)
                if account_id not in known:
                    log.error("account.refused", account=account_id, reason=error.message)
            else:
                fit[account_id] = standing
        return fit

    async def _save_cooldown(self, account_id: str, model: str, cooldown: Cooldown) -> None:
        async with self.database.write() as connection:
            holds = await cooldown_rules.save_cooldown(connection, account_id, model, cooldown=cooldown)
        standing = self._statuses.get(account_id)
        if standing is not None:
            self._cache_status(replace(standing, cooldowns={**standing.cooldowns, model: holds}))
        if holds is not cooldown:
            return
        seconds = round(cooldown.until - cooldown.since, 1)
        log.info("account.cooled", account=account_id, model=model, seconds=seconds, reason=cooldown.reason)
        self.notices.publish(
            "account_cooling_down",
            account=account_id,
            name=self._account_name(account_id),
            model=model,
            code=cooldown.code,
            reason=cooldown.reason,
            until=cooldown.until,
        )

    async def _delete_cooldowns(self, account_id: str, models: list[str] | None) -> None:
        async with self.database.write() as connection:
            await cooldown_rules.delete_cooldowns(connection, account_id, models)
        self._drop_cached_cooldowns(account_id, models)

    async def _delete_disproved(self, account_id: str, model: str, now: float) -> None:
        """An upstream spoke: rests that are over, or that a trial was out for, end."""
        async with self.database.write() as connection:
            over = await cooldown_rules.delete_disproved(connection, account_id, model, now=now)
        if over:
            self._drop_cached_cooldowns(account_id, over)

    def _drop_cached_cooldowns(self, account_id: str, models: list[str] | None) -> None:
        standing = self._statuses.get(account_id)
        if standing is not None:
            gone = standing.cooldowns.keys() if models is None else set(models)
            kept = {model: c for model, c in standing.cooldowns.items() if model not in gone}
            self._cache_status(replace(standing, cooldowns=kept))

    def _is_our_network(self, error: UpstreamUnreachable, account: Account, now: float) -> bool:
        """Whether the fault is on our side of the network."""
        if isinstance(error, LocalConnectionsExhausted):
            return True
        host = urlsplit(account.proxy or self.provider_for(account).http.base_url).netloc
        return self.network.record_failure(host, now, down=isinstance(error, NetworkDown))

    async def _lift_network_cooldowns(self, now: float) -> None:
        """Our own network is down: who was sent to rest for it a moment ago is not to blame either."""
        log.warning("network.suspected")
        for standing in list(self._statuses.values()):
            cooldown = standing.cooldowns.get(WHOLE_ACCOUNT)
            recent = cooldown is not None and cooldown.since > now - WINDOW_SECONDS
            if cooldown is not None and cooldown.code == "unreachable" and recent:
                await self._delete_cooldowns(standing.account.id, [WHOLE_ACCOUNT])

    def _cache_status(self, standing: AccountStatus) -> None:
        self._statuses[standing.account.id] = standing
        self.revision += 1

    def _account_name(self, account_id: str) -> str:
        standing = self._statuses.get(account_id)
        return standing.account.name if standing else ""

    def _account_of_row(self, row: Any) -> Account:
        """The same object as long as nothing about it changes, so that its provider stays too; secrets are
        opened again only when they have been changed."""
        told = tuple(getattr(row, name) for name in ACCOUNT_FIELDS)
        known = self._parsed_rows.get(row.id)
        if known is None or known[0] != told:
            known = self._parsed_rows[row.id] = (told, account_of_row(row, self.vault))
        return known[1]


def name_taken_error(name: str) -> InvalidRequest:
    return InvalidRequest(f"An account named {name} exists already.", param="name")
