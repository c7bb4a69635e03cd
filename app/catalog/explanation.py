"""Why each account is, or is not, chosen for a model at this moment."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import rates
from app.accounts.status import AccountStatus
from app.catalog import overrides
from app.catalog.candidates import Candidate, ExcludedAccount, ExclusionCode
from app.catalog.capability import check_capability
from app.catalog.catalog import Catalog
from app.catalog.character_inputs import adapt_characters
from app.db.tables import slots
from app.generation import GenerationRequest, Kind

Verdict = (
    Literal["chosen", "candidate", "busy", "incapable", "disabled", "expired", "cooling", "quota_exhausted"]
    | ExclusionCode
)


@dataclass(frozen=True, slots=True)
class AccountExplanation:
    """One account's part. ``rank`` counts from 1 by order, tier and load, over those that could be used now;
    ``until`` is when it may change, in UTC seconds; ``taken`` of ``slots`` are in use."""

    account_id: str
    account: str
    provider: str
    verdict: Verdict
    text: str
    rank: int | None = None
    order: int | None = None
    tier: int = 0
    weight: float = 1.0
    upstream_model: str | None = None
    until: float | None = None
    taken: int = 0
    slots: int | None = None


async def explain_accounts(
    catalog: Catalog, kind: Kind, model: str, *, request: GenerationRequest | None = None
) -> list[AccountExplanation]:
    """Every account, the chosen one first, then those that could be, then the others in the route's order.

    With a ``request``, also whether each can do what it asks. Nothing is reserved or changed.
    """
    standings = await catalog.current_statuses()
    async with catalog.pool.database.read() as connection:
        taken = await _used_slots(connection, kind)
        sent = await rates.recent_submissions(connection, standings, now=time.time())
    found = catalog.assessed_accounts(kind, model)
    judged = [
        _check_capacity(
            _explain_candidate(catalog, each, kind=kind, request=request, taken=taken[each.account.id]),
            each.account.rpm,
            sent[each.account.id],
        )
        for each in found
        if isinstance(each, Candidate)
    ]
    excluded = [_explain_exclusion(each) for each in found if isinstance(each, ExcludedAccount)]
    return [*_rank_explanations(judged), *sorted(excluded, key=lambda reason: reason.account)]


async def _used_slots(connection: AsyncConnection, kind: Kind) -> Counter[str]:
    query = sa.select(slots.c.account_id, sa.func.count()).where(slots.c.kind == kind)
    rows = await connection.execute(query.group_by(slots.c.account_id))
    return Counter({row[0]: row[1] for row in rows})


def _explain_candidate(
    catalog: Catalog, candidate: Candidate, *, kind: Kind, request: GenerationRequest | None, taken: int
) -> AccountExplanation:
    account = candidate.account
    room = None if kind == "text" else account.slots_for(kind)
    reason = AccountExplanation(
        account.id,
        account.name,
        account.provider,
        "candidate",
        "could be used",
        order=candidate.order,
        tier=account.tier,
        weight=candidate.share,
        upstream_model=candidate.model,
        taken=taken,
        slots=room,
    )
    obstacle = candidate.status.blocked_by(candidate.model, time.time())
    if obstacle is not None:
        return replace(reason, verdict=obstacle.code, text=obstacle.text, until=obstacle.until)
    refusal = _capability_refusal(catalog, candidate, request)
    if refusal is not None:
        return replace(reason, verdict="incapable", text=refusal)
    return reason


def _check_capacity(reason: AccountExplanation, rpm: int | None, sent: int) -> AccountExplanation:
    """Whether one that could be used has a slot and a submission of this minute left."""
    if reason.verdict != "candidate":
        return reason
    if reason.slots is not None and reason.taken >= reason.slots:
        return replace(reason, verdict="busy", text=f"{reason.taken} of {reason.slots} slots are in use")
    if reason.slots is not None and rpm is not None and sent >= rpm:
        return replace(reason, verdict="busy", text=f"{sent} of {rpm} submissions of this minute are used")
    return reason


def _capability_refusal(
    catalog: Catalog, candidate: Candidate, request: GenerationRequest | None
) -> str | None:
    if request is None:
        return None
    capabilities = catalog.pool.provider_for(candidate.account).capabilities(candidate.model)
    told = overrides.apply_overrides(request, candidate.overrides)
    refusal = check_capability(adapt_characters(told, capabilities.roles), capabilities)
    return refusal.message if refusal is not None else None


def _rank_explanations(judged: Iterable[AccountExplanation]) -> list[AccountExplanation]:
    usable = sorted((each for each in judged if each.verdict == "candidate"), key=_sort_key)
    ranked = [replace(each, rank=number) for number, each in enumerate(usable, 1)]
    if ranked:
        ranked[0] = replace(ranked[0], verdict="chosen", text="would be used now")
    others = sorted((each for each in judged if each.verdict != "candidate"), key=_sort_key)
    return ranked + others


def _sort_key(reason: AccountExplanation) -> tuple[int, int, float, float]:
    return reason.order or 0, reason.tier, reason.taken / reason.weight, -reason.weight


def _explain_exclusion(exclusion: ExcludedAccount) -> AccountExplanation:
    standing: AccountStatus = exclusion.status
    account = standing.account
    return AccountExplanation(
        account.id, account.name, account.provider, exclusion.code, exclusion.text, tier=account.tier
    )
