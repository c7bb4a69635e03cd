"""Passwords of the panel: which are accepted, their argon2id hashes, and a growing wait after wrong ones."""

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidRequest, SignInThrottled

MIN_LENGTH = 10
MAX_LENGTH = 200
GUESSABLE = frozenset(
    {
        "1234567890",
        "0123456789",
        "1q2w3e4r5t",
        "adminadmin",
        "admin12345",
        "administrator",
        "change-me-now",
        "changemenow",
        "filmgate123",
        "iloveyou123",
        "letmein123",
        "password12",
        "password123",
        "passwordpassword",
        "qwertyuiop",
        "qwerty12345",
    }
)
MOST_AT_ONCE = 2
"""Hashes computed at the same time. Each needs 64 MB, and many sign-ins at once must not fill the memory."""
MOST_REMEMBERED = 10_000
FORGOTTEN_SECONDS = 3600.0


class PasswordHashing:
    """Hashes and verifies passwords in threads, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    @cached_property
    def _decoy_hash(self) -> str:
        """Verified for unknown names, so that the response takes as long as for a known one."""
        return self._hasher.hash("nobody")

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether ``password`` has this hash. False for an unknown name (None)."""
        async with self._turns:
            matches = await asyncio.to_thread(self._verify_blocking, hashed, password)
        return matches and hashed is not None

    def _verify_blocking(self, hashed: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(hashed or self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str, *, name: str = "", param: str = "password") -> None:
    """Raises ``InvalidRequest`` for a password that is easy to guess."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise InvalidRequest(f"{param} must have {MIN_LENGTH} to {MAX_LENGTH} characters", param=param)
    plain = password.lower()
    if plain in GUESSABLE or len(set(plain)) < 4 or plain == name.lower():
        raise InvalidRequest(f"{param} is too easy to guess; use a few random words", param=param)


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
# Short, so that guessing cannot lock the owner of the name out.
BY_NAME = ThrottleRule(free=5, longest=30.0)


class SignInThrottle:
    """Delays sign-ins by address and by name. Kept in memory: a restart forgets, and each replica counts alone."""

    def __init__(self) -> None:
        self._records: OrderedDict[tuple[str, str], FailureRecord] = OrderedDict()

    def begin_attempt(self, *, address: str, name: str | None, now: float | None = None) -> None:
        """Count an attempt as failed until ``forget_failures``, so that parallel attempts are counted too.

        Raises ``SignInThrottled`` with the seconds to wait.
        """
        now = time.monotonic() if now is None else now
        rules = [(("address", address), BY_ADDRESS)]
        if name is not None:
            rules.append((("name", name.lower()), BY_NAME))
        wait = max(self._seconds_to_wait(source, rule, now=now) for source, rule in rules)
        if wait > 0:
            raise SignInThrottled("Too many attempts; please wait a moment.", retry_after=wait)
        for source, _ in rules:
            self._count_failure(source, now)

    def forget_failures(self, *, address: str, name: str | None) -> None:
        """The attempt succeeded."""
        self._records.pop(("address", address), None)
        if name is not None:
            self._records.pop(("name", name.lower()), None)

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
