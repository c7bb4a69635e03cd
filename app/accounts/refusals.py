"""What an upstream's refusal does to its account, and how far the refused request may be carried.

A verdict about one request is no verdict about the account. Crash points: a suspension, and each cooldown, is one
transaction of its own. A process that dies before one loses it, and the next refusal starts it; strikes, and rests of a
single client key, are in memory only.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

import structlog

from app import clock
from app.accounts import cooldown_rules
from app.accounts.looks import AccountLooks
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus, Cooldown, SuspendedBy
from app.errors import (
    LocalConnectionsExhausted,
    NetworkDown,
    RequestBlocked,
    UpstreamAuthFailed,
    UpstreamError,
    UpstreamUnreachable,
)
from app.ops.metrics import REFUSALS
from app.providers.base import Account

if TYPE_CHECKING:
    from app.accounts.pool import AccountPool

log = structlog.get_logger()
SPARED_SECONDS = 300.0
"""How long an account whose key was refused rests for a client key that may take no more accounts from others."""
BLOCKED_SECONDS = 5.0
"""How long an account rests for a client key whose request was blocked there."""
MAX_RESTS = 10_000
NETWORK_WINDOW_SECONDS = 10.0
SUSPICIOUS_HOSTS = 2
"""So many hosts that become unreachable within the window, while no upstream answers, mean that our network is down."""
NextAccounts = Literal["any", "one"]
"""How many more accounts a refused request may be sent to: ``one`` in its whole life, where it may be the request's fault."""


@dataclass(frozen=True, slots=True)
class RefusalCause:
    """Whose request an upstream refused: the client key, and every account that could serve its model."""

    key_id: str
    account_ids: frozenset[str]

    @property
    def most_out(self) -> int:
        """So many of the accounts may be taken from everybody because of one key: half of them, and an only one."""
        return max(1, len(self.account_ids) // 2)


class KeyRests:
    """Which accounts are not asked for which key, and until when. The oldest are forgotten first."""

    def __init__(self) -> None:
        self._until: dict[tuple[str, str, str], float] = {}
        self._last_end = 0.0

    def __bool__(self) -> bool:
        """Whether any may be under way."""
        if self._until and clock.now() >= self._last_end:
            self._until.clear()
        return bool(self._until)

    def add(self, key_id: str, account_id: str, model: str, *, until: float) -> None:
        """``model`` is the upstream's, ``*`` for the whole account; ``until`` in UTC seconds."""
        if len(self._until) >= MAX_RESTS:
            now = clock.now()
            self._until = {rest: end for rest, end in self._until.items() if end > now}
        if len(self._until) >= MAX_RESTS:
            del self._until[next(iter(self._until))]
        self._until[key_id, account_id, model] = until
        self._last_end = max(self._last_end, until)

    def is_resting(self, key_id: str, account_id: str, model: str) -> bool:
        """Whether the account is left alone for this key and upstream model now."""
        if not self._until:
            return False
        now = clock.now()
        places = ((key_id, account_id, model), (key_id, account_id, WHOLE_ACCOUNT))
        return any(self._until.get(place, 0.0) > now for place in places)

    def end(self, account_id: str) -> None:
        """The account works again, or the operator says so."""
        if self._until:
            self._until = {rest: end for rest, end in self._until.items() if rest[1] != account_id}


class NetworkWatch:
    """Remembers which hosts became unreachable lately, and when an upstream last answered."""

    def __init__(self) -> None:
        self._unreachable_hosts: dict[str, float] = {}
        self._answered_at = 0.0

    def note_answer(self) -> None:
        """Some upstream answered, so our own network works."""
        self._answered_at = clock.now()
        if self._unreachable_hosts:
            self._unreachable_hosts.clear()

    def is_down(self, error: UpstreamUnreachable, host: str, now: float) -> bool:
        """Whether our own network is down, and not the upstream at ``host``.

        Hosts that become unreachable together, while no upstream answers, have us in common. A single unreachable host is
        the upstream's fault, unless the system reports that no route leads out (``NetworkDown``).
        """
        if isinstance(error, LocalConnectionsExhausted):
            return True
        begin = now - NETWORK_WINDOW_SECONDS
        recent = {other: at for other, at in self._unreachable_hosts.items() if at > begin}
        self._unreachable_hosts = recent | {host: now}
        if len(self._unreachable_hosts) >= SUSPICIOUS_HOSTS:
            return True
        return isinstance(error, NetworkDown) and self._answered_at < begin


class RefusalJudge:
    """Records refusals on the accounts of a pool."""

    def __init__(self, pool: "AccountPool") -> None:
        self.network = NetworkWatch()
        self.key_rests = KeyRests()
        self._pool = pool
        self.looks = AccountLooks()
        self._strikes: dict[str, dict[str, Cooldown]] = {}
        self._ejecting = asyncio.Lock()
        """Held by whoever counts the accounts that a client key has taken, and takes one more."""

    async def record_refusal(
        self, account_id: str, model: str, error: UpstreamError, *, cause: RefusalCause | None = None
    ) -> NextAccounts:
        """An upstream refused work: start a cooldown, or disable the account. Returns how many more accounts may be asked.

        ``cooldown_rules`` say what rests for how long. A key is bad only when the vendor says so and our own look does not
        find the opposite. One client key takes at most half of a model's accounts from everybody: beyond that, an account
        rests for this key alone.
        """
        status = await self._pool.status_of(account_id)
        if status is None:
            return "any"  # removed meanwhile
        REFUSALS.labels(status.account.provider, type(error).__name__).inc()
        if isinstance(error, UpstreamAuthFailed):
            by = await self._judge_key(status.account, error)
            if by is not None:
                return await self._suspend(status, by, reason=error.message, cause=cause)
            error = RequestBlocked(error.message)
        now = clock.now()
        if isinstance(error, UpstreamUnreachable):
            cause = None  # nothing was sent, so it is not the request's doing
            if self.network.is_down(error, self._host_of(status.account), now):
                await self._lift_network_cooldowns(now)
                return "any"
        else:
            self.network.note_answer()
        await self._start_cooldowns(status, model, error, cause=cause)
        return "one" if isinstance(error, RequestBlocked) else "any"

    async def _judge_key(self, account: Account, error: UpstreamAuthFailed) -> SuspendedBy | None:
        """What says that the account's key is bad; None where it may be the request that was refused."""
        if self._pool.is_embedded(account.id):
            return "refusal"
        check = await self.looks.look_at(self._pool.provider_for(account))
        log.info("account.looked_at", account=account.id, verdict=check.verdict)
        if check.verdict == "refused":
            return "look"
        return "refusal" if check.verdict == "reachable" and not error.vague else None

    async def _suspend(
        self, status: AccountStatus, by: SuspendedBy, *, reason: str, cause: RefusalCause | None
    ) -> NextAccounts:
        async with self._ejecting:
            if self._is_spared(status, cause):
                self._rest_for_key(status, WHOLE_ACCOUNT, cause, until=clock.now() + SPARED_SECONDS)
                return "one"
            await self._pool.disable(
                status.account.id, reason=reason, by=by, key_id=cause.key_id if cause else ""
            )
            return "any"

    async def _start_cooldowns(
        self, status: AccountStatus, model: str, error: UpstreamError, *, cause: RefusalCause | None
    ) -> None:
        account_id, now = status.account.id, clock.now()
        strikes = self._strikes.setdefault(account_id, {})
        before = {**status.cooldowns, **strikes}
        started = cooldown_rules.cooldowns_after(error, status, model, before=before, now=now)
        for where, cooldown in started.items():
            if isinstance(error, RequestBlocked):
                self._rest_for_key(status, where, cause, until=now + BLOCKED_SECONDS)
            if cooldown.until <= now:
                strikes[where] = cooldown  # a strike that starts no cooldown yet stays in memory
                continue
            async with self._ejecting:
                if self._is_spared(status, cause):
                    self._rest_for_key(status, where, cause, until=cooldown.until)
                    continue
                strikes.pop(where, None)
                caused = replace(cooldown, key_id=cause.key_id if cause else "")
                await self._pool.save_cooldown(account_id, where, caused)
        others = status.cooldowns.keys() & {WHOLE_ACCOUNT, model} - started.keys()
        if others and not isinstance(error, RequestBlocked):
            await self._pool.end_disproved(account_id, model)

    def _is_spared(self, status: AccountStatus, cause: RefusalCause | None) -> bool:
        """Whether this client key has taken its share of the model's accounts from everybody already."""
        if cause is None or not cause.key_id:
            return False
        now = clock.now()
        others = (self._pool.cached_status(each) for each in cause.account_ids - {status.account.id})
        out = sum(other is not None and other.is_out_because_of(cause.key_id, now) for other in others)
        if out < cause.most_out:
            return False
        log.warning("account.spared", account=status.account.id, key=cause.key_id, out=out)
        return True

    def _rest_for_key(
        self, status: AccountStatus, model: str, cause: RefusalCause | None, *, until: float
    ) -> None:
        if cause is not None and cause.key_id and len(cause.account_ids) > 1:
            self.key_rests.add(cause.key_id, status.account.id, model, until=until)

    def forget_strikes(self, account_id: str, model: str) -> None:
        """The account answered for this upstream model."""
        self.network.note_answer()
        if self._strikes.get(account_id):
            self._strikes[account_id].pop(model, None)

    def forget_account(self, account_id: str) -> None:
        """The account works again, or the operator says so."""
        self._strikes.pop(account_id, None)
        self.key_rests.end(account_id)

    def has_strikes(self, account_id: str) -> bool:
        return bool(self._strikes.get(account_id))

    def _host_of(self, account: Account) -> str:
        return urlsplit(account.proxy or self._pool.provider_for(account).http.base_url).netloc

    async def _lift_network_cooldowns(self, now: float) -> None:
        """Our own network seems to be down: lift the cooldowns it has just caused."""
        log.warning("network.suspected")
        for status in self._pool.cached_statuses():
            cooldown = status.cooldowns.get(WHOLE_ACCOUNT)
            recent = cooldown is not None and cooldown.since > now - NETWORK_WINDOW_SECONDS
            if cooldown is not None and cooldown.code == "unreachable" and recent:
                await self._pool.delete_cooldowns(status.account.id, [WHOLE_ACCOUNT])
