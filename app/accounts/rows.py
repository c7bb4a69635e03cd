"""Converts an account between its row in the store, and what is kept in memory. Secrets are sealed to their row."""

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from app import clock
from app.accounts.definition import ACCOUNT_FIELDS, EXTRA_FIELDS, AccountDraft, field_shape
from app.accounts.status import Cooldown, CooldownCode, Period
from app.foreign import clean_text
from app.providers.base import Account
from app.vault import Vault, account_proxy_place, account_secret_place

LONGEST_REASON = 500
SEALED_PLACES = {"secret": account_secret_place, "proxy": account_proxy_place}
"""The fields that are sealed, each to its column of its row."""
QUOTA_COLUMNS = ("quota_unit", "quota_limit", "quota_left", "quota_period", "quota_resets_at")
CODES: frozenset[str] = frozenset(get_args(CooldownCode))


def account_of_row(row: Any, vault: Vault) -> tuple[Account, dict[str, Any]]:
    """The account, and the fields that only the operator reads.

    Raises ``SettingsInvalid`` when the root key is not the one that sealed the row.
    """
    account, extra = account_without_secrets(row)
    sealed = {name: getattr(row, name) for name in SEALED_PLACES}
    opened: dict[str, Any] = {
        name: vault.unseal(value, place=SEALED_PLACES[name](row.id))
        for name, value in sealed.items()
        if value is not None
    }
    return replace(account, **opened), extra


def account_without_secrets(row: Any) -> tuple[Account, dict[str, Any]]:
    """As much of it as needs no root key."""
    plain = [name for name in ACCOUNT_FIELDS if name not in SEALED_PLACES]
    account = Account(id=row.id, **{name: _read_column(row, name) for name in plain})
    return account, {name: _read_column(row, name) for name in EXTRA_FIELDS}


def has_secrets(row: Any) -> bool:
    return any(getattr(row, name) is not None for name in SEALED_PLACES)


def _read_column(row: Any, name: str) -> Any:
    value, shape = getattr(row, name), field_shape(name)
    if shape == "text":
        return value
    return frozenset(json.loads(value)) if shape == "words" else json.loads(value)


def column_values(draft: AccountDraft, account_id: str, vault: Vault) -> dict[str, Any]:
    """The values of the columns for a draft."""
    values: dict[str, Any] = _quota_values(draft)
    for name in AccountDraft.model_fields:
        value = getattr(draft, name)
        if name in SEALED_PLACES and value is not None:
            values[name] = vault.seal(value, place=SEALED_PLACES[name](account_id))
        elif name != "quota":
            values[name] = _column_value(name, value)
    return values


def _column_value(name: str, value: Any) -> Any:
    shape = field_shape(name)
    if shape == "text":
        return value
    return json.dumps(sorted(value) if shape == "words" else value)


def columns_of_fields(names: Iterable[str]) -> set[str]:
    """The columns that hold these fields of a draft."""
    columns = set(names)
    if "quota" in columns:
        columns |= set(QUOTA_COLUMNS)
    if "enabled" in columns:
        columns.add("disabled_reason")
    return columns


def cooldown_of_row(row: Any) -> Cooldown:
    """The column ``reason`` holds the code, a colon and the text."""
    code, _, reason = row.reason.partition(": ")
    if code not in CODES:
        code, reason = "cooling", row.reason
    return Cooldown(reason, row.since, row.until, row.strikes, row.trial_at, code, row.key_id)


def reason_text(code: str, reason: str) -> str:
    """The text in the column ``reason``: the code comes first."""
    return f"{code}: {plain_reason(reason)}"


def plain_reason(reason: str) -> str:
    """As one line that every store takes."""
    return clean_text(reason, LONGEST_REASON)


def _quota_values(draft: AccountDraft) -> dict[str, Any]:
    quota = draft.quota
    if quota is None:
        return {"quota_limit": None, "quota_left": None, "quota_period": "none", "quota_resets_at": None}
    left = quota.limit if quota.left is None else quota.left
    return {
        "quota_unit": quota.unit,
        "quota_limit": quota.limit,
        "quota_left": Decimal(left),
        "quota_period": quota.period,
        "quota_resets_at": next_reset(quota.period, clock.now()),
    }


def next_reset(period: Period, now: float) -> float | None:
    """The next midnight UTC, or for a month the first midnight of the next month; None when nothing resets."""
    if period == "none":
        return None
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return (today + timedelta(days=1)).timestamp()
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
