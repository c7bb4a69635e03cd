"""What counts as a secret: one that is empty is not set, and one that is easy to guess is refused.

Settings, the panel, the command line and the configuration file ask here, so that no way in is wider than another.
"""

import base64
import binascii

from app.errors import InvalidRequest

SIGNING_PREFIX = "whsec_"
SHORTEST_SIGNING_BYTES = 24
MIN_PASSWORD_LENGTH = 10
MAX_PASSWORD_LENGTH = 200
MIN_TOKEN_LENGTH = 16
MAX_TOKEN_LENGTH = 512
GUESSABLE = frozenset(
    {
        "0123456789",
        "123456",
        "1234567890",
        "1q2w3e4r5t",
        "admin",
        "admin123",
        "admin12345",
        "adminadmin",
        "administrator",
        "change-me",
        "change-me-now",
        "changeme",
        "changemenow",
        "filmgate123",
        "han1234",
        "iloveyou123",
        "letmein123",
        "password",
        "password12",
        "password123",
        "passwordpassword",
        "qwerty12345",
        "qwertyuiop",
        "secret",
    }
)


def is_blank(text: str | None) -> bool:
    """Whether there is nothing to read in ``text``: it is None, empty, or holds only spaces and invisible characters."""
    return not any(letter.isprintable() and not letter.isspace() for letter in text or "")


def check_password(password: str, *, name: str = "", param: str = "password") -> None:
    """Raises ``InvalidRequest`` for a password that is easy to guess. ``name`` is that of its admin."""
    plain = password.lower()
    if plain in GUESSABLE or plain == name.lower():
        raise InvalidRequest(
            f"{param} is too easy to guess; use a few random words", param=param, reason="guessable"
        )
    if not MIN_PASSWORD_LENGTH <= len(password) <= MAX_PASSWORD_LENGTH:
        bounds = f"{MIN_PASSWORD_LENGTH} to {MAX_PASSWORD_LENGTH} characters"
        raise InvalidRequest(f"{param} must have {bounds}", param=param, reason="password_length")
    if is_blank(password) or len(set(plain)) < 4:
        raise InvalidRequest(
            f"{param} is too easy to guess; use a few random words", param=param, reason="guessable"
        )


def is_weak_token(text: str) -> bool:
    """Whether a key or token, which a machine should have made, is too short to be random."""
    return text.lower() in GUESSABLE or len(text.strip()) < MIN_TOKEN_LENGTH


def check_token(text: str, *, param: str) -> None:
    """Raises ``InvalidRequest`` for a client key that is easy to guess, or that no client can send in a header."""
    if is_weak_token(text):
        bound = f"use at least {MIN_TOKEN_LENGTH} random characters"
        raise InvalidRequest(
            f"{param}: the key is too easy to guess; {bound}", param=param, reason="guessable"
        )
    if len(text) > MAX_TOKEN_LENGTH or not all("!" <= letter <= "~" for letter in text):
        signs = "letters, digits and signs of ASCII, and no spaces"
        raise InvalidRequest(
            f"{param}: a key has at most {MAX_TOKEN_LENGTH} {signs}", param=param, reason="invalid_value"
        )


def check_signing_secret(text: str) -> None:
    """Raises ``ValueError`` for what signs no webhook as Standard Webhooks describe; nothing at all is no secret."""
    try:
        key = base64.b64decode(text.removeprefix(SIGNING_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if text and (not text.startswith(SIGNING_PREFIX) or len(key) < SHORTEST_SIGNING_BYTES):
        raise ValueError(
            f"must be {SIGNING_PREFIX} and at least {SHORTEST_SIGNING_BYTES} random bytes in base64: "
            f'echo "{SIGNING_PREFIX}$(openssl rand -base64 32)"'
        )
