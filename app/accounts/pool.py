"""The pool of upstream accounts: stored in the database, read from memory, with their cooldowns and providers."""

import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import replace

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from app import clock
from app.accounts import cooldown_rules, suspensions
from app.accounts.definition import AccountDraft
from app.accounts.notices import NoticeListener, NoticePublisher
from app.accounts.provider_cache import ProviderCache
from app.accounts.refusals import NextAccounts, RefusalCause, RefusalJudge
from app.accounts.row_reader import RowReader
from app.accounts.rows import column_values, cooldown_of_row, plain_reason
from app.accounts.status import (
    WHOLE_ACCOUNT,
    AccountStatus,
    BlockReason,
    Cooldown,
    CooldownCode,
    Source,
    SuspendedBy,
    Suspension,
)
from app.db.changes import announce_change
from app.db.session import DATABASE_AWAY, Database
from app.db.tables import accounts, cooldowns
from app.errors import InvalidRequest, NotFound, UpstreamError
from app.providers.base import Account, Provider
from app.shared_reads import SharedRead
from app.vault import Vault

log = structlog.get_logger()
CACHE_SECONDS = 2.0


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
        self._embedded = embedded
        self._embedded_always = bool(embedded and embedded.options.get("always"))
        self._statuses: dict[str, AccountStatus] = {}
        self._reads = SharedRead(self._read_statuses, seconds=CACHE_SECONDS, away=DATABASE_AWAY)
        self.revision = 0
        """Changes whenever ``cached_statuses`` may have changed."""
        self.refusals = RefusalJudge(self)
        self._providers = ProviderCache(build)
        self.build_provider = build
        self._rows = RowReader(vault)
        self._misconfigured: dict[str, tuple[AccountStatus, InvalidRequest]] = {}

    def on_notice(self, listener: NoticeListener) -> None:
        """Call ``listener`` with each notice for the operator: see ``notices.py``."""
        self.notices.add_listener(listener)

    async def current_statuses(self) -> list[AccountStatus]:
        """Every account, from memory when it was read in the last two seconds."""
        await self._reads.get()
        return list(self._statuses.values())

    @property
    def is_fresh(self) -> bool:
        """Whether ``cached_statuses`` is what ``current_statuses`` would return."""
        return self._reads.is_fresh

    async def status_of(self, account_id: str) -> AccountStatus | None:
        """From memory, where it is known there."""
        if account_id not in self._statuses:
            await self.refresh()
        return self._statuses.get(account_id)

    def cached_status(self, account_id: str) -> AccountStatus | None:
        return self._statuses.get(account_id)

    def cached_statuses(self) -> list[AccountStatus]:
        """The statuses that were read last; for the relay's hot path."""
        return list(self._statuses.values())

    async def refresh(self) -> None:
        """Read every account anew, also if that was done just now."""
        await self._reads.read_anew()

    async def _read_statuses(self) -> dict[str, AccountStatus]:
        async with self.database.read_few() as connection:
            rows = (await connection.execute(sa.select(accounts).order_by(accounts.c.created_at))).all()
            cooling: dict[str, dict[str, Cooldown]] = defaultdict(dict)
            for row in await connection.execute(sa.select(cooldowns)):
                cooling[row.account_id][row.model] = cooldown_of_row(row)
            suspended = await suspensions.read_all(connection)
        found = self._rows.read(rows)
        every = [found[row.id].as_status(row, cooling.get(row.id, {}), suspended.get(row.id)) for row in rows]
        shut = {account_id: each.problem for account_id, each in found.items() if each.problem}
        statuses = self._without_misconfigured(every, shut)
        always = self._embedded_always
        if self._embedded and (always or not any(each.is_proven for each in statuses.values())):
            kept = self._statuses.get(self._embedded.id) or AccountStatus(self._embedded, enabled=True)
            rests, stands_in = cooling.get(self._embedded.id, {}), bool(statuses) and not always
            statuses[self._embedded.id] = replace(kept, cooldowns=rests, stands_in=stands_in)
        self._statuses = statuses
        self.revision += 1
        return statuses

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
        return status.blocked_by(model, clock.now()) if status else gone

    def provider_for(self, account: Account) -> Provider:
        """The provider of an account that was read from this pool."""
        return self._providers.provider_for(account)

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
        await self._providers.check(account)

    async def add(self, account: Account, *, source: Source = "store") -> Account:
        """Store an account without checking it (``AccountRepository.add`` does). Raises ``InvalidRequest`` when the name is
        taken."""
        draft = AccountDraft.of_status(AccountStatus(account, enabled=True))
        return replace(account, id=await self.insert_draft(draft, source=source))

    async def insert_draft(self, draft: AccountDraft, *, source: Source) -> str:
        """Store a new account, its secret sealed. Returns its id."""
        account_id = uuid.uuid4().hex
        row = column_values(draft, account_id, self.vault)
        row |= {"id": account_id, "created_at": clock.now(), "source": source}
        try:
            async with self.database.write() as connection:
                await connection.execute(sa.insert(accounts).values(row))
                await announce_change(connection, "accounts")
        except IntegrityError as error:
            raise name_taken_error(draft.name) from error
        self.invalidate_cache()
        return account_id

    async def record_refusal(
        self, account_id: str, model: str, error: UpstreamError, *, cause: RefusalCause | None = None
    ) -> NextAccounts:
        """``RefusalJudge.record_refusal``."""
        return await self.refusals.record_refusal(account_id, model, error, cause=cause)

    async def record_answer(self, account_id: str, model: str) -> None:
        """An upstream took work, or refused its content: that ends a series of failures."""
        self.refusals.forget_strikes(account_id, model)
        status = self._statuses.get(account_id)
        if status is not None and status.cooldowns.keys() & {WHOLE_ACCOUNT, model}:
            await self.end_disproved(account_id, model)

    def has_failures(self, account_id: str, model: str) -> bool:
        """Whether ``record_answer`` would change anything; from memory."""
        status = self._statuses.get(account_id)
        return self.refusals.has_strikes(account_id) or bool(status and status.cooldowns)

    def mark_trial(self, account_id: str, model: str) -> None:
        """A request tests whether a cooldown is over. Only in memory; admission also writes it to the database."""
        status = self._statuses.get(account_id)
        if status is None:
            return
        now = clock.now()
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
        now = clock.now()
        await self.save_cooldown(
            account_id, model, Cooldown(plain_reason(reason), now, now + seconds, code=code)
        )

    async def clear_cooldowns(self, account_id: str, *, model: str | None = None) -> None:
        """End every cooldown of an account, or that of one ``model`` (``*``: of the whole account)."""
        log.info("account.cleared", account=account_id, model=model)
        self.refusals.forget_account(account_id)
        await self.delete_cooldowns(account_id, None if model is None else [model])

    async def disable(
        self, account_id: str, *, reason: str, by: SuspendedBy = "refusal", key_id: str = ""
    ) -> None:
        """Disable an account after a refusal, until a later look finds it well or the operator enables it; one notice."""
        now = clock.now()
        made: Suspension | None = Suspension(by, now, key_id=key_id)
        if not self.is_embedded(account_id):
            async with self.database.write() as connection:
                made = await suspensions.suspend(
                    connection, account_id, by, reason=reason, key_id=key_id, now=now
                )
        if made is None:
            self.invalidate_cache()
            return  # several requests may be refused at once
        log.warning("account.disabled", account=account_id, by=by, reason=reason)
        self._cache_enabled(account_id, enabled=False, reason=plain_reason(reason), suspension=made)
        self.notices.publish(
            "account_disabled",
            account=account_id,
            name=self._account_name(account_id),
            reason=plain_reason(reason),
            by=by,
            next_look_at=made.next_look_at,
        )

    async def resume(self, account_id: str, found: Suspension, *, trial: bool) -> bool:
        """Enable what a refusal had disabled; False when the operator has decided meanwhile. ``trial``: one request tests
        it first."""
        now = clock.now()
        async with self.database.write() as connection:
            resumed = await suspensions.end_suspension(connection, account_id, keep_count=trial)
        if not resumed:
            self.invalidate_cache()
            return False
        status = self._statuses.get(account_id)
        if trial and status is not None:
            rest = suspensions.trial_cooldown(status.disabled_reason or "its key was refused", found, now)
            await self.save_cooldown(account_id, WHOLE_ACCOUNT, rest)
        self._cache_enabled(account_id, enabled=True)
        log.warning("account.resumed", account=account_id, trial=trial)
        if not trial:
            self._publish_recovery(account_id)
        return True

    async def set_enabled(self, account_id: str, *, enabled: bool, reason: str | None = None) -> None:
        """What the operator decides; no look changes it."""
        if not self.is_embedded(account_id):
            async with self.database.write() as connection:
                await suspensions.write_operators(
                    connection, account_id, enabled=enabled, reason=reason, now=clock.now()
                )
        by_operator = None if enabled else Suspension("operator", clock.now())
        plain = plain_reason(reason) if reason and not enabled else None
        self._cache_enabled(account_id, enabled=enabled, reason=plain, suspension=by_operator)

    def _cache_enabled(
        self,
        account_id: str,
        *,
        enabled: bool,
        reason: str | None = None,
        suspension: Suspension | None = None,
    ) -> None:
        status = self._statuses.get(account_id)
        if status is None and self._embedded and self.is_embedded(account_id):
            status = AccountStatus(self._embedded, enabled=True)
        if status is not None:
            self._cache_status(
                replace(status, enabled=enabled, disabled_reason=reason, suspension=suspension)
            )
        self.invalidate_cache()

    def _publish_recovery(self, account_id: str) -> None:
        self.refusals.forget_account(account_id)
        self.notices.publish("account_recovered", account=account_id, name=self._account_name(account_id))

    def invalidate_cache(self) -> None:
        """The next read of the statuses goes to the database."""
        self._reads.expire()

    async def close(self) -> None:
        await self._reads.close()
        await self._providers.close()

    def _without_misconfigured(
        self, statuses: list[AccountStatus], shut: Mapping[str, InvalidRequest]
    ) -> dict[str, AccountStatus]:
        """The accounts that a provider can be built for; the others, and those that are ``shut``, must not stop them."""
        known, self._misconfigured = self._misconfigured, {}
        usable: dict[str, AccountStatus] = {}
        for status in statuses:
            account_id = status.account.id
            try:
                if account_id in shut:
                    raise shut[account_id]
                self.provider_for(status.account)
            except InvalidRequest as error:
                self._misconfigured[account_id] = (status, error)
                if account_id not in known:
                    log.error("account.refused", account=account_id, reason=error.message)
            else:
                usable[account_id] = status
        self._providers.forget_others({status.account.id for status in statuses} | self._lasting_ids())
        return usable

    def _lasting_ids(self) -> set[str]:
        """Accounts without a row, whose provider stays."""
        return {self._embedded.id} if self._embedded else set()

    async def save_cooldown(self, account_id: str, model: str, cooldown: Cooldown) -> None:
        """Store a cooldown unless one there ends later, and publish a notice."""
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

    async def delete_cooldowns(self, account_id: str, models: list[str] | None) -> None:
        """Delete the cooldowns of some upstream models, or (None) all."""
        async with self.database.write() as connection:
            await cooldown_rules.delete_cooldowns(connection, account_id, models)
        self._drop_cached_cooldowns(account_id, models)

    async def end_disproved(self, account_id: str, model: str) -> None:
        """An upstream answered: end the cooldowns whose time is over or that a request was testing."""
        async with self.database.write() as connection:
            over = await cooldown_rules.delete_disproved(connection, account_id, model, now=clock.now())
        if not over:
            return
        status = self._statuses.get(account_id)
        tested = status.cooldowns.get(WHOLE_ACCOUNT) if status is not None else None
        self._drop_cached_cooldowns(account_id, over)
        if tested is not None and tested.code == "refused" and WHOLE_ACCOUNT in over:
            self._publish_recovery(account_id)

    def _drop_cached_cooldowns(self, account_id: str, models: list[str] | None) -> None:
        status = self._statuses.get(account_id)
        if status is not None:
            gone = status.cooldowns.keys() if models is None else set(models)
            kept = {model: c for model, c in status.cooldowns.items() if model not in gone}
            self._cache_status(replace(status, cooldowns=kept))

    def _cache_status(self, status: AccountStatus) -> None:
        self._statuses[status.account.id] = status
        self.revision += 1

    def _account_name(self, account_id: str) -> str:
        status = self._statuses.get(account_id)
        return status.account.name if status else ""


def name_taken_error(name: str) -> InvalidRequest:
    return InvalidRequest(f"An account named {name} exists already.", param="name", reason="name_taken")
