"""Passwords of the panel: what is taken, and their argon2id hashes."""

import asyncio
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.errors import InvalidRequest

SHORTEST = 10
LONGEST = 200
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
"""A hash takes 64 MB while it is made: no flood of sign-ins may fill the memory."""


class PasswordHashing:
    """Hashes and verifies beside the event loop, a few at a time."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher()
        self._turns = asyncio.Semaphore(MOST_AT_ONCE)

    @cached_property
    def _decoy_hash(self) -> str:
        """Verified against for names that nobody has, so that an answer takes as long as for a real one."""
        return self._hasher.hash("nobody")

    async def hash(self, password: str) -> str:
        async with self._turns:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def verify(self, hashed: str | None, password: str) -> bool:
        """Whether it is the password; of nobody (None) it never is."""
        async with self._turns:
            right = await asyncio.to_thread(self._verify_blocking, hashed, password)
        return right and hashed is not None

    def _verify_blocking(self, hashed: str | None, password: str) -> bool:
        try:
            return self._hasher.verify(hashed or self._decoy_hash, password)
        except (VerificationError, InvalidHashError):
            return False


def check_password(password: str, *, name: str = "", param: str = "password") -> None:
    """Raises ``InvalidRequest`` for one that is easy to guess."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise InvalidRequest(f"{param} must have {SHORTEST} to {LONGEST} characters", param=param)
    plain = password.lower()
    if plain in GUESSABLE or len(set(plain)) < 4 or plain == name.lower():
        raise InvalidRequest(f"{param} is too easy to guess; a few random words do well", param=param)
