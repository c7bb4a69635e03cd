"""An account between its row in the store and memory; secrets are sealed to their row."""

import json
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, get_args

from app.accounts.definition import AccountDraft
from app.accounts.status import AccountStatistics, AccountStatus, Cooldown, CooldownCode, Period, Quota
from app.providers.base import Account
from app.vault import Vault, account_proxy_place, account_secret_place

LONGEST_REASON = 500
ACCOUNT_COLUMNS = (
    "provider",
    "name",
    "base_url",
    "secret",
    "models",
    "kinds",
    "slots",
    "options",
    "tags",
    "limits",
    "weight",
    "tier",
    "rpm",
    "plan",
    "expires_at",
    "proxy",
)
"""What ``account_of`` reads."""
CODES: frozenset[str] = frozenset(get_args(CooldownCode))


def account_of_row(row: Any, vault: Vault) -> Account:
    """Raises ``SettingsInvalid`` when the root key is another one."""
    return Account(
        id=row.id,
        provider=row.provider,
        name=row.name,
        base_url=row.base_url,
        secret=vault.unseal(row.secret, place=account_secret_place(row.id)),
        models=json.loads(row.models),
        kinds=frozenset(json.loads(row.kinds)),
        slots=row.slots,
        options=json.loads(row.options),
        tags=frozenset(json.loads(row.tags)),
        limits=json.loads(row.limits),
        weight=row.weight,
        tier=row.tier,
        rpm=row.rpm,
        plan=row.plan,
        expires_at=row.expires_at,
        proxy=vault.unseal(row.proxy, place=account_proxy_place(row.id)) if row.proxy else None,
    )


def account_of_draft(draft: AccountDraft, account_id: str) -> Account:
    return Account(
        id=account_id,
        provider=draft.provider,
        name=draft.name,
        base_url=draft.base_url,
        secret=draft.secret,
        models=draft.models,
        kinds=draft.kinds,
        slots=draft.slots,
        options=draft.options,
        tags=draft.tags,
        limits=draft.limits,
        weight=draft.weight,
        tier=draft.tier,
        rpm=draft.rpm,
        plan=draft.plan,
        expires_at=draft.expires_at,
        proxy=draft.proxy,
    )


def status_of_row(row: Any, account: Account, cooldowns: dict[str, Cooldown]) -> AccountStatus:
    return AccountStatus(
        account,
        row.enabled,
        row.disabled_reason,
        cooldowns=cooldowns,
        quota=quota_of_row(row),
        statistics=AccountStatistics(
            row.successes, row.failures, row.seconds, tuple(json.loads(row.outcomes))
        ),
        note=row.note,
        source=row.source,
        created_at=row.created_at,
    )


def quota_of_row(row: Any) -> Quota | None:
    if row.quota_limit is None:
        return None
    left = row.quota_limit if row.quota_left is None else row.quota_left
    return Quota(row.quota_unit, row.quota_limit, left, row.quota_period, row.quota_resets_at)


def cooldown_of_row(row: Any) -> Cooldown:
    """The reason is kept with its code in front."""
    code, _, reason = row.reason.partition(": ")
    if code not in CODES:
        code, reason = "cooling", row.reason
    return Cooldown(reason, row.since, row.until, row.strikes, row.trial_at, code)


def reason_text(code: str, reason: str) -> str:
    """PostgreSQL keeps no NUL in a text."""
    return f"{code}: {plain_reason(reason)}"


def plain_reason(reason: str) -> str:
    return reason.replace("\0", "")[:LONGEST_REASON]


def column_values(draft: AccountDraft, account_id: str, vault: Vault) -> dict[str, Any]:
    """The columns of a draft; of the quota only where one is given."""
    return {
        "provider": draft.provider,
        "name": draft.name,
        "base_url": draft.base_url,
        "secret": vault.seal(draft.secret, place=account_secret_place(account_id)),
        "models": json.dumps(draft.models),
        "kinds": json.dumps(sorted(draft.kinds)),
        "slots": draft.slots,
        "limits": json.dumps(draft.limits),
        "options": json.dumps(draft.options),
        "tags": json.dumps(sorted(draft.tags)),
        "plan": draft.plan,
        "note": draft.note,
        "weight": draft.weight,
        "tier": draft.tier,
        "rpm": draft.rpm,
        "expires_at": draft.expires_at,
        "proxy": vault.seal(draft.proxy, place=account_proxy_place(account_id)) if draft.proxy else None,
        "enabled": draft.enabled,
        **_quota_values(draft),
    }


def columns_of_fields(fields: Iterable[str]) -> set[str]:
    """The columns that hold these fields of a draft."""
    named = set(fields)
    if "quota" in named:
        named |= {"quota_unit", "quota_limit", "quota_left", "quota_period", "quota_resets_at"}
    if "enabled" in named:
        named.add("disabled_reason")
    return named


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
        "quota_resets_at": next_reset(quota.period, time.time()),
    }


def next_reset(period: Period, now: float) -> float | None:
    """Midnight UTC after ``now``, for a month the first one of the next; None where nothing resets."""
    if period == "none":
        return None
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if period == "day":
        return (today + timedelta(days=1)).timestamp()
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()
