"""Masks secrets in the answers of the panel's API and in the audit log."""

import re
from typing import Any

from app.ops.logs import SECRET_LOOKS

MASK = "•••"
# Narrower than in logs: ``input_tokens`` and ``max_tokens`` are numbers that an operator needs.
SECRET_NAMES = re.compile(
    r"(secret(?!_hint)|(?<!_)token$|_token$|password|authorization|api_?key|private_key|cookie|signature"
    r"|credential)",
    re.IGNORECASE,
)
SIGNED_QUERY = re.compile(
    r"(?i)([?&](?:[^=&#?\s]{0,64}?(?:signature|sig|token|key|credential|secret)[^=&#?\s]{0,64})=)[^&#\s\"]+"
)


def mask_secrets(value: Any) -> Any:
    """The same document with every secret masked: by the name of its field, and by its pattern."""
    if isinstance(value, dict):
        return {name: MASK if _is_secret(name, held) else mask_secrets(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [mask_secrets(item) for item in value]
    if isinstance(value, str):
        return SIGNED_QUERY.sub(rf"\1{MASK}", SECRET_LOOKS.sub(MASK, value))
    return value


def restore_masked(wanted: Any, kept: Any) -> Any:
    """``wanted`` with every mask replaced by the stored value of the same place."""
    if wanted == MASK:
        return kept
    if isinstance(wanted, dict):
        old = kept if isinstance(kept, dict) else {}
        return {name: restore_masked(value, old.get(name)) for name, value in wanted.items()}
    if isinstance(wanted, list):
        old_items = kept if isinstance(kept, list) else []
        return [
            restore_masked(value, old_items[index] if index < len(old_items) else None)
            for index, value in enumerate(wanted)
        ]
    return wanted


def secret_hint(secret: str) -> str:
    """The last four characters of a secret, to tell secrets apart; of a short secret nothing."""
    if not secret:
        return ""
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"


def _is_secret(name: object, value: object) -> bool:
    if isinstance(value, bool) or value in (None, "", [], {}):
        return False
    return isinstance(name, str) and bool(SECRET_NAMES.search(name))
