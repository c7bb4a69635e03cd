"""The pool of upstream accounts: stored in the database, read from memory, with their cooldowns and providers."""

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
from app.accounts.definition import ACCOUNT_FIELDS, EXTRA_FIELDS, AccountDraft
from app.accounts.notices import NoticeListener, NoticePublisher
from app.accounts.rows import (
    account_of_row,
    column_values,
    cooldown_of_row,
    plain_reason,
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
NETWORK_WINDOW_SECONDS = 10.0
SUSPICIOUS_HOSTS = 2
"""So many hosts that become unreachable within the window, while no upstream answers, mean that our network is down."""


class AccountPool:
    """All accounts. ``build`` makes an account's provider. ``embedded``: the built-in account, which has no row."""

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
        self.fresh_until = 0.0
        """Until when (``time.monotonic``) ``cached_statuses`` is what ``current_statuses`` would return."""
        self._changes = 0
        self.revision = 0
        """Changes whenever ``cached_statuses`` may have changed."""
        self._providers: dict[str, tuple[Account, Provider]] = {}
        self._retired: list[Provider] = []
        self._unreachable_hosts: dict[str, float] = {}
        self._answered_at = 0.0
        self._strikes: dict[str, dict[str, Cooldown]] = {}
        self._parsed_rows: dict[str, tuple[tuple[Any, ...], Account, dict[str, Any]]] = {}
        self._misconfigured: dict[str, tuple[AccountStatus, InvalidRequest]] = {}

    def on_notice(self, listener: NoticeListener) -> None:
        """Call ``listener`` with each notice for the operator: see ``notices.py``."""
        self.notices.add_listener(listener)

    async def current_statuses(self) -> list[AccountStatus]:
        """Every account, from memory when it was read in the last two seconds."""
        if time.monotonic() > self.fresh_until:
            await self.refresh()
        return list(self._statuses.values())

    def cached_statuses(self) -> list[AccountStatus]:
        """The statuses that were read last; for the relay's hot path."""
        return list(self._statuses.values())

    async def refresh(self) -> None:
        changes = self._changes
        async with self.database.read() as connection:
            rows = (await connection.execute(sa.select(accounts).order_by(accounts.c.created_at))).all()
            cooling: dict[str, dict[str, Cooldown]] = defaultdict(dict)
            for row in await connection.execute(sa.select(cooldowns)):
                cooling[row.account_id][row.model] = cooldown_of_row(row)
        statuses = self._without_misconfigured(
            [self._status_of_row(row, cooling.get(row.id, {})) for row in rows]
        )
        if self._embedded and (self._embedded_always or not statuses):
            kept = self._statuses.get(self._embedded.id) or AccountStatus(self._embedded, enabled=True)
            statuses[self._embedded.id] = replace(kept, cooldowns=cooling.get(self._embedded.id, {}))
        self._statuses = statuses
        self.revision += 1
        if changes == self._changes:  # otherwise it may have been read before the change
            self.fresh_until = time.monotonic() + CACHE_SECONDS

    async def provider_by_id(self, account_id: str) -> Provider:
        """The account's provider, also when the account is disabled. Raises ``NotFound``, and ``InvalidRequest`` for a
        misconfigured account."""
        if account_id not in self._statuses:
            await self.refresh()
        if account_id in self._misconfigured:
            raise self._misconfigured[account_id][1]
        status = self._statuses.get(account_id)
        if status is not None:
            return self.provider_for(status.account)
        if self._embedded and account_id == self._embedded.id:
            return self.provider_for(self._embedded)  # its tasks outlive the first real account
        raise NotFound(f"There is no account {account_id} any more.")

    async def blocked_by(self, account_id: str, model: str) -> BlockReason | None:
        """Why this account can't take work for an upstream model now; None when it can."""
        await self.current_statuses()
        status = self._statuses.get(account_id)
        gone = BlockReason("disabled", "disabled: removed")
        return status.blocked_by(model, time.time()) if status else gone

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
        """Accounts that no provider can be built for, with their ``problem``; they serve nothing."""
        return [replace(status, problem=error.message) for status, error in self._misconfigured.values()]

    def is_embedded(self, account_id: str) -> bool:
        """Whether it is the built-in account, which has no row."""
        return self._embedded is not None and account_id == self._embedded.id

    async def check_account(self, account: Account) -> None:
        """Raises ``InvalidRequest`` for what its provider can't work with, and for the built-in account's name."""
        if self._embedded is not None and account.name == self._embedded.name:
            raise name_taken_error(account.name)
        await self._build(account).close()

    async def add(self, account: Account, *, source: Source = "store") -> Account:
        """Store an account without checking it (``AccountRepository.add`` does). Raises ``InvalidRequest`` when the name is
        taken."""
        draft = AccountDraft.of_status(AccountStatus(account, enabled=True))
        return replace(account, id=await self.insert_draft(draft, source=source))

    async def insert_draft(self, draft: AccountDraft, *, source: Source) -> str:
        """Store a new account, its secret sealed. Returns its id."""
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
        """An upstream refused work: start a cooldown, or disable the account, by ``cooldown_rules``."""
        if account_id not in self._statuses:
            await self.refresh()
        status = self._statuses.get(account_id)
        if status is None:
            return  # removed meanwhile
        if isinstance(error, UpstreamAuthFailed):
            await self.disable(account_id, reason=error.message)
            return
        now = time.time()
        if isinstance(error, UpstreamUnreachable) and self._is_our_network(error, status.account, now):
            await self._lift_network_cooldowns(now)
            return
        if not isinstance(error, UpstreamUnreachable):
            self.note_answer()
        strikes = self._strikes.setdefault(account_id, {})
        before = {**status.cooldowns, **strikes}
        started = cooldown_rules.cooldowns_after(error, status, model, before=before, now=now)
        for where, cooldown in started.items():
            if cooldown.until <= now:
                strikes[where] = cooldown  # a strike that starts no cooldown yet stays in memory
                continue
            strikes.pop(where, None)
            await self._save_cooldown(account_id, where, cooldown)
        if status.cooldowns.keys() & {WHOLE_ACCOUNT, model} - started.keys():
            await self._delete_disproved(account_id, model, now)

    def note_answer(self) -> None:
        """Some upstream answered, so our own network works."""
        self._answered_at = time.time()
        if self._unreachable_hosts:
            self._unreachable_hosts.clear()

    async def record_answer(self, account_id: str, model: str) -> None:
        """An upstream took work, or refused its content: that ends a series of failures."""
        now = time.time()
        self.note_answer()
        if self._strikes.get(account_id):
            self._strikes[account_id].pop(model, None)
        status = self._statuses.get(account_id)
        if status is not None and status.cooldowns.keys() & {WHOLE_ACCOUNT, model}:
            await self._delete_disproved(account_id, model, now)

    def has_failures(self, account_id: str, model: str) -> bool:
        """Whether ``record_answer`` would change anything; from memory."""
        status = self._statuses.get(account_id)
        return bool(self._strikes.get(account_id) or (status and status.cooldowns))

    def mark_trial(self, account_id: str, model: str) -> None:
        """A request tests whether a cooldown is over. Only in memory; admission also writes it to the database."""
        status = self._statuses.get(account_id)
        if status is None:
            return
        now = time.time()
        tried = {
            where: replace(cooldown, trial_at=now) if where in {WHOLE_ACCOUNT, model} else cooldown
            for where, cooldown in status.cooldowns.items()
        }
        self._cache_status(replace(status, cooldowns=tried))

    async def start_cooldown(
        self,
        account_id: str,
        *,
        seconds: float,
        reason: str,
        model: str = WHOLE_ACCOUNT,
        code: CooldownCode = "cooling",
    ) -> None:
        """Start a cooldown of an account or of one upstream model on it, unless a longer one holds."""
        now = time.time()
        await self._save_cooldown(
            account_id, model, Cooldown(plain_reason(reason), now, now + seconds, code=code)
        )

    async def clear_cooldowns(self, account_id: str, *, model: str | None = None) -> None:
        """End every cooldown of an account, or that of one ``model`` (``*``: of the whole account)."""
        log.info("account.cleared", account=account_id, model=model)
        self._strikes.pop(account_id, None)
        await self._delete_cooldowns(account_id, None if model is None else [model])

    async def disable(self, account_id: str, *, reason: str) -> None:
        """Disable an account until the operator enables it, and publish a notice."""
        log.warning("account.disabled", account=account_id, reason=reason)
        status = self._statuses.get(account_id)
        await self.set_enabled(account_id, enabled=False, reason=reason)
        if status is None or status.enabled:  # several tasks may be refused at once: one notice
            name = self._account_name(account_id)
            self.notices.publish(
                "account_disabled", account=account_id, name=name, reason=plain_reason(reason)
            )

    async def set_enabled(self, account_id: str, *, enabled: bool, reason: str | None = None) -> None:
        plain = plain_reason(reason) if reason else None
        status = self._statuses.get(account_id)
        if self._embedded and self.is_embedded(account_id):
            status = status or AccountStatus(self._embedded, enabled=True)
        else:
            async with self.database.write() as connection:
                await connection.execute(
                    sa.update(accounts)
                    .where(accounts.c.id == account_id)
                    .values(enabled=enabled, disabled_reason=plain)
                )
        if status is not None:
            self._cache_status(replace(status, enabled=enabled, disabled_reason=plain))
        self.invalidate_cache()

    def invalidate_cache(self) -> None:
        """The next read of the statuses goes to the database."""
        self._changes += 1
        self.fresh_until = 0.0

    async def close(self) -> None:
        for provider in [*self._retired, *(built for _, built in self._providers.values())]:
            await provider.close()
        self._providers.clear()

    def _without_misconfigured(self, statuses: list[AccountStatus]) -> dict[str, AccountStatus]:
        """The accounts that a provider can be built for; the others must not stop them."""
        known, self._misconfigured = self._misconfigured, {}
        usable: dict[str, AccountStatus] = {}
        for status in statuses:
            account_id = status.account.id
            try:
                self.provider_for(status.account)
            except InvalidRequest as error:
                self._misconfigured[account_id] = (status, error)
                if account_id not in known:
                    log.error("account.refused", account=account_id, reason=error.message)
            else:
                usable[account_id] = status
        return usable

    async def _save_cooldown(self, account_id: str, model: str, cooldown: Cooldown) -> None:
        async with self.database.write() as connection:
            holds = await cooldown_rules.save_cooldown(connection, account_id, model, cooldown=cooldown)
        status = self._statuses.get(account_id)
        if status is not None:
            self._cache_status(replace(status, cooldowns={**status.cooldowns, model: holds}))
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
        """An upstream answered: end the cooldowns whose time is over or that a request was testing."""
        async with self.database.write() as connection:
            over = await cooldown_rules.delete_disproved(connection, account_id, model, now=now)
        if over:
            self._drop_cached_cooldowns(account_id, over)

    def _drop_cached_cooldowns(self, account_id: str, models: list[str] | None) -> None:
        status = self._statuses.get(account_id)
        if status is not None:
            gone = status.cooldowns.keys() if models is None else set(models)
            kept = {model: c for model, c in status.cooldowns.items() if model not in gone}
            self._cache_status(replace(status, cooldowns=kept))

    def _is_our_network(self, error: UpstreamUnreachable, account: Account, now: float) -> bool:
        """Whether our own network is down, and not the upstream.

        Hosts that become unreachable together, while no upstream answers, have us in common. A single unreachable host is
        the upstream's fault, unless the system reports that no route leads out (``NetworkDown``).
        """
        if isinstance(error, LocalConnectionsExhausted):
            return True
        host = urlsplit(account.proxy or self.provider_for(account).http.base_url).netloc
        begin = now - NETWORK_WINDOW_SECONDS
        recent = {other: at for other, at in self._unreachable_hosts.items() if at > begin}
        self._unreachable_hosts = recent | {host: now}
        if len(self._unreachable_hosts) >= SUSPICIOUS_HOSTS:
            return True
        return isinstance(error, NetworkDown) and self._answered_at < begin

    async def _lift_network_cooldowns(self, now: float) -> None:
        """Our own network seems to be down: lift the cooldowns it has just caused."""
        log.warning("network.suspected")
        for status in list(self._statuses.values()):
            cooldown = status.cooldowns.get(WHOLE_ACCOUNT)
            recent = cooldown is not None and cooldown.since > now - NETWORK_WINDOW_SECONDS
            if cooldown is not None and cooldown.code == "unreachable" and recent:
                await self._delete_cooldowns(status.account.id, [WHOLE_ACCOUNT])

    def _cache_status(self, status: AccountStatus) -> None:
        self._statuses[status.account.id] = status
        self.revision += 1

    def _account_name(self, account_id: str) -> str:
        status = self._statuses.get(account_id)
        return status.account.name if status else ""

    def _status_of_row(self, row: Any, cooldowns: dict[str, Cooldown]) -> AccountStatus:
        """Its account is the same object while the row is unchanged: the provider stays, secrets are unsealed once."""
        columns = tuple(getattr(row, name) for name in (*ACCOUNT_FIELDS, *EXTRA_FIELDS))
        known = self._parsed_rows.get(row.id)
        if known is None or known[0] != columns:
            known = self._parsed_rows[row.id] = (columns, *account_of_row(row, self.vault))
        return AccountStatus.of_row(row, known[1], extra=known[2], cooldowns=cooldowns)


def name_taken_error(name: str) -> InvalidRequest:
    return InvalidRequest(f"An account named {name} exists already.", param="name")
