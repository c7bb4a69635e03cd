"""Reads single fields of other gateways' rows, which differ by database and version."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any


def text_of(value: Any) -> str:
    """Empty for what is missing."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return "" if value is None else str(value)


def number_of(value: Any) -> int:
    """0 for what is missing or no number."""
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def amount_of(value: Any) -> Decimal | None:
    """None for what is missing or no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        amount = Decimal(str(value))
    except ArithmeticError:
        return None
    return amount if amount.is_finite() else None


def document_of(value: Any) -> dict[str, Any]:
    """A JSON object, written as text (also twice) or read already; empty for anything else."""
    for _ in range(2):
        value = _decoded(value)
    return dict(value) if isinstance(value, Mapping) else {}


def list_of(value: Any) -> list[Any]:
    """A list, or a JSON array as text; empty for anything else."""
    value = _decoded(value)
    return list(value) if isinstance(value, list | tuple) else []


def _decoded(value: Any) -> Any:
    """JSON that is written as text; what is none becomes None."""
    if not isinstance(value, str | bytes):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None


def words_of(value: Any, separator: str = ",") -> list[str]:
    """The parts of a text, without blanks and repetitions."""
    parts = (part.strip() for part in text_of(value).split(separator))
    return list(dict.fromkeys(part for part in parts if part))


def moment_of(value: Any) -> float | None:
    """UTC seconds of a date, an ISO text or seconds. None for what is missing, and for 0 and below: they mean never."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if isinstance(value, datetime):
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
    seconds = amount_of(value)
    return float(seconds) if seconds is not None and seconds > 0 else None


def is_stated(value: Any) -> bool:
    """Whether there is anything in a field: more than an empty text, object or list."""
    return text_of(value).strip() not in ("", "{}", "[]", "null", "None")
