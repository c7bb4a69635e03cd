"""Passwords of the panel: their argon2id hashes, and a growing wait after wrong ones."""

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv6Address, ip_address, ip_network

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import SignInThrottled
from app.secret_rules import is_blank

MOST_AT_ONCE = 2
"""Hashes computed at the same time. Each needs 64 MB, and many sign-ins at once must not fill the memory."""
MOST_WAITING = 32
MOST_WAITING_OF_ADDRESS = 4
"""Passwords that wait to be hashed: in all, and of one address, so that nobody fills the queue for the others."""
MOST_REMEMBERED = 10_000
FORGOTTEN_SECONDS = 3600.0
CUSTOMER_BITS = 64
"""An IPv6 customer has a network of this length to choose addresses from."""


class PasswordHashing:
    """Hashes and verifies passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)
        self._waiting: Counter[str] = Counter()

    @cached_property
    def _decoy_hash(self) -> str:
        """Verified for unknown names, so that the response takes as long as for a known one."""
        return self._hasher.hash("nobody")

    @contextmanager
    def reserve_turn(self, address: str) -> Iterator[None]:
        """For a password that a stranger has sent. Raises ``SignInThrottled`` when too many wait already."""
        own = self._waiting[address]
        if own >= MOST_WAITING_OF_ADDRESS or self._waiting.total() >= MOST_WAITING:
            raise SignInThrottled("Too many sign-ins at once; please try again.", retry_after=1)
        self._waiting[address] += 1
        try:
            yield
        finally:
            self._waiting[address] -= 1
            if not self._waiting[address]:
                del self._waiting[address]

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether ``password`` has this hash. False for an unknown name (None), and always for an empty password."""
        async with self._turns:
            matches = await asyncio.to_thread(self._verify_blocking, hashed, password)
        return matches and hashed is not None and not is_blank(password)

    async def is_empty(self, hashed: str) -> bool:
        """Whether this is the hash of the empty password, which release 0.1.0 could store."""
        async with self._turns:
            return await asyncio.to_thread(self._verify_blocking, hashed, "")

    def _verify_blocking(self, hashed: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(hashed or self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return False


@dataclass(slots=True)
class FailureRecord:
    """Failed sign-ins from one address or of one name; ``last`` is a monotonic time in seconds."""

    failures: int
    last: float


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """After ``free`` failures each attempt waits: one second, then twice as long, up to ``longest`` seconds."""

    free: int
    longest: float


BY_ADDRESS = ThrottleRule(free=8, longest=900.0)
"""For guesses of tokens and setup links."""
BY_NAME = ThrottleRule(free=5, longest=300.0)
"""For guesses of one admin's password from one address, or from one device that has signed in before."""

BY_CODE = ThrottleRule(free=10, longest=300.0)
"""For guesses of one admin's second factor."""


def source_of(address: str) -> str:
    """Whose guesses are counted together: those of an address, or of the IPv6 network of one customer."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return "unknown"
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped or ip_network((found, CUSTOMER_BITS), strict=False))
    return str(found)


class SignInThrottle:
    """Delays guesses. Kept in memory: a restart forgets, and each replica counts alone.

    A name is never delayed everywhere: strangers could keep its owner out by guessing. Nor are the names that come from
    one address added up, because a proxy that is not in ``FILMGATE_TRUSTED_PROXIES`` gives all clients one address.
    """

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, str], FailureRecord] = OrderedDict()

    def begin_attempt(
        self, *, address: str, name: str | None, device: str = "", now: float | None = None
    ) -> None:
        """Count an attempt as failed until ``forget_failures``, so that parallel attempts are counted too.

        ``device`` identifies a browser that has signed in as ``name`` before: it is counted apart from its address.
        Raises ``SignInThrottled`` with the seconds to wait.
        """
        self._begin(*_source_and_rule(address, name, device), now=now)

    def begin_code(self, name: str, *, device: str = "", now: float | None = None) -> None:
        """As ``begin_attempt``, for a code of the second factor, from whatever address it comes: who guesses codes knows
        the password, and six digits are few. A browser that has signed in before is counted apart."""
        self._begin(*_code_source(name, device), now=now)

    def forget_codes(self, name: str, *, device: str = "") -> None:
        """A code was right."""
        self._records.pop(_code_source(name, device)[0], None)

    def withdraw_attempt(self, *, address: str, name: str, device: str = "") -> None:
        """The password was right and the code is not there yet: neither a failure, nor a reason to forget others."""
        record = self._records.get(_source_and_rule(address, name, device)[0])
        if record is not None:
            record.failures -= 1

    def _begin(self, source: tuple[str, str], rule: ThrottleRule, *, now: float | None) -> None:
        now = time.monotonic() if now is None else now
        wait = self._seconds_to_wait(source, rule, now=now)
        if wait > 0:
            raise SignInThrottled("Too many attempts; please wait a moment.", retry_after=wait)
        self._count_failure(source, now)

    def forget_failures(self, *, address: str, name: str | None, device: str = "") -> None:
        """The attempt succeeded."""
        self._records.pop(_source_and_rule(address, name, device)[0], None)

    def _seconds_to_wait(self, source: tuple[str, str], rule: ThrottleRule, *, now: float) -> float:
        record = self._records.get(source)
        if record is None or record.failures < rule.free:
            return 0.0
        pause = min(2.0 ** min(record.failures - rule.free, 20), rule.longest)
        return record.last + pause - now

    def _count_failure(self, source: tuple[str, str], now: float) -> None:
        record = self._records.get(source)
        if record is None or now - record.last > FORGOTTEN_SECONDS:
            record = self._records[source] = FailureRecord(0, now)
        record.failures += 1
        record.last = now
        self._records.move_to_end(source)
        while len(self._records) > MOST_REMEMBERED:
            self._records.popitem(last=False)


def _code_source(name: str, device: str) -> tuple[tuple[str, str], ThrottleRule]:
    return (device, f"code {name.lower()[:80]}"), BY_CODE


def _source_and_rule(address: str, name: str | None, device: str) -> tuple[tuple[str, str], ThrottleRule]:
    if name is None:
        return (source_of(address), ""), BY_ADDRESS
    return (device or source_of(address), f"name {name.lower()[:80]}"), BY_NAME
