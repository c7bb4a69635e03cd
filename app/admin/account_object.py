"""An account as the panel shows it: how it stands, how it has done, and never its secret."""

import time
from collections import Counter
from typing import Any

import sqlalchemy as sa

from app.accounts.status import AccountStatus
from app.admin.masking import mask_secrets, secret_hint
from app.admin.panel import PanelServices
from app.admin.task_object import plain_amount
from app.db.tables import slots
from app.errors import InvalidRequest
from app.providers.base import Account


async def account_objects(panel: PanelServices, found: list[AccountStatus]) -> list[dict[str, Any]]:
    query = sa.select(slots.c.account_id, sa.func.count()).group_by(slots.c.account_id)
    async with panel.database.read() as connection:
        used = Counter({row[0]: int(row[1]) for row in await connection.execute(query)})
    return [_account_object(panel, standing, in_flight=used[standing.account.id]) for standing in found]


def settable_fields(standing: AccountStatus) -> dict[str, Any]:
    """What an operator may set, as it is; for the audit log and the form."""
    account = standing.account
    return {
        "provider": account.provider,
        "name": account.name,
        "base_url": account.base_url,
        "models": dict(account.models),
        "kinds": sorted(account.kinds),
        "slots": account.slots,
        "limits": dict(account.limits),
        "rpm": account.rpm,
        "weight": account.weight,
        "tier": account.tier,
        "tags": sorted(account.tags),
        "plan": account.plan,
        "note": standing.note,
        "options": mask_secrets(dict(account.options)),
        "expires_at": account.expires_at,
        "enabled": standing.enabled,
        "quota": _quota_object(standing),
        "secret_hint": secret_hint(account.secret),
        "proxy_hint": secret_hint(account.proxy or ""),
    }


def _account_object(panel: PanelServices, standing: AccountStatus, *, in_flight: int) -> dict[str, Any]:
    account, now = standing.account, time.time()
    embedded = panel.pool.is_embedded(account.id)
    state, reason, until = state_of(standing, in_flight, now=now)
    return settable_fields(standing) | {
        "id": account.id,
        "embedded": embedded,
        "source": "embedded" if embedded else standing.source,
        "read_only": embedded or standing.source == "file",
        "serves": _served_kinds(panel, account, fault=standing.problem),
        "created_at": standing.created_at or None,
        "state": state,
        "reason": reason,
        "until": until,
        "cooldowns": [
            {
                "model": model,
                "code": each.code,
                "reason": each.reason,
                "since": each.since,
                "until": each.until,
                "strikes": each.strikes,
            }
            for model, each in standing.cooldowns.items()
            if each.is_active(now)
        ],
        "in_flight": in_flight,
        **_success_record(standing),
    }


def state_of(standing: AccountStatus, in_flight: int, *, now: float) -> tuple[str, str | None, float | None]:
    """One word, why, and until when."""
    if standing.problem:
        return "broken", standing.problem, None
    obstacle = standing.blocked_by("*", now)
    if obstacle is not None and obstacle.code == "disabled":
        draining = standing.disabled_reason == "draining"
        return ("draining" if draining else "disabled"), standing.disabled_reason, None
    if obstacle is not None:
        word = "exhausted" if obstacle.code == "quota_exhausted" else obstacle.code
        return word, obstacle.text, obstacle.until
    return ("busy" if in_flight >= standing.account.slots else "ready"), None, None


def _success_record(standing: AccountStatus) -> dict[str, Any]:
    past = standing.statistics
    tries = past.successes + past.failures
    return {
        "successes": past.successes,
        "failures": past.failures,
        "success_rate": round(past.successes / tries, 4) if tries else None,
        "average_seconds": past.average_seconds,
        "outcomes": [{"ok": word == "completed", "word": word} for word in past.outcomes],
    }


def _quota_object(standing: AccountStatus) -> dict[str, Any] | None:
    quota = standing.quota
    if quota is None:
        return None
    return {
        "unit": quota.unit,
        "limit": plain_amount(quota.limit),
        "left": plain_amount(quota.left_at(time.time())),
        "period": quota.period,
        "resets_at": quota.resets_at,
    }


def _served_kinds(panel: PanelServices, account: Account, *, fault: str | None) -> list[str]:
    if fault:
        return sorted(account.kinds)
    try:
        return sorted(panel.gateway.catalog.kinds_of(account))
    except InvalidRequest:
        return sorted(account.kinds)
