"""Why each account is, or is not, chosen for a model at this moment."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.accounts import rates
from app.accounts.standing import AccountStatus
from app.catalog import overrides
from app.catalog.candidates import Candidate, Exclusion, ExclusionCode
from app.catalog.capability import check_capability
from app.catalog.casting import cast
from app.catalog.routes import Catalog
from app.db.tables import slots
from app.generation import GenerationRequest, Kind

Verdict = (
    Literal["chosen", "candidate", "busy", "incapable", "disabled", "expired", "cooling", "quota_exhausted"]
    | ExclusionCode
)


@dataclass(frozen=True, slots=True)
class Reason:
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


async def explain(
    catalog: Catalog, kind: Kind, model: str, *, request: GenerationRequest | None = None
) -> list[Reason]:
    """Every account, the chosen one first, then those that could be, then the others in the route's order.

    With a ``request``, also whether each can do what it asks. Nothing is reserved or changed.
    """
    standings = await catalog.standings()
    async with catalog.pool.database.read() as connection:
        taken = await _taken(connection, kind)
        sent = await rates.sent(connection, standings, now=time.time())
    found = catalog.assessed(kind, model)
    judged = [
        _with_room(
            _judged(catalog, each, kind=kind, request=request, taken=taken[each.account.id]),
            each.account.rpm,
            sent[each.account.id],
        )
        for each in found
        if isinstance(each, Candidate)
    ]
    excluded = [_excluded(each) for each in found if isinstance(each, Exclusion)]
    return [*_ranked(judged), *sorted(excluded, key=lambda reason: reason.account)]


async def _taken(connection: AsyncConnection, kind: Kind) -> Counter[str]:
    query = sa.select(slots.c.account_id, sa.func.count()).where(slots.c.kind == kind)
    rows = await connection.execute(query.group_by(slots.c.account_id))
    return Counter({row[0]: row[1] for row in rows})


def _judged(
    catalog: Catalog, candidate: Candidate, *, kind: Kind, request: GenerationRequest | None, taken: int
) -> Reason:
    account = candidate.account
    room = None if kind == "text" else account.slots_for(kind)
    reason = Reason(
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
    obstacle = candidate.standing.blocked_by(candidate.model, time.time())
    if obstacle is not None:
        return replace(reason, verdict=obstacle.code, text=obstacle.text, until=obstacle.until)
    refusal = _refusal(catalog, candidate, request)
    if refusal is not None:
        return replace(reason, verdict="incapable", text=refusal)
    return reason


def _with_room(reason: Reason, rpm: int | None, sent: int) -> Reason:
    """Whether one that could be used has a slot and a submission of this minute left."""
    if reason.verdict != "candidate":
        return reason
    if reason.slots is not None and reason.taken >= reason.slots:
        return replace(reason, verdict="busy", text=f"{reason.taken} of {reason.slots} slots are in use")
    if reason.slots is not None and rpm is not None and sent >= rpm:
        return replace(reason, verdict="busy", text=f"{sent} of {rpm} submissions of this minute are used")
    return reason


def _refusal(catalog: Catalog, candidate: Candidate, request: GenerationRequest | None) -> str | None:
    if request is None:
        return None
    capabilities = catalog.pool.provider_for(candidate.account).capabilities(candidate.model)
    told = overrides.apply(request, candidate.overrides)
    refusal = check_capability(cast(told, capabilities.roles), capabilities)
    return refusal.message if refusal is not None else None


def _ranked(judged: Iterable[Reason]) -> list[Reason]:
    usable = sorted((each for each in judged if each.verdict == "candidate"), key=_place)
    ranked = [replace(each, rank=number) for number, each in enumerate(usable, 1)]
    if ranked:
        ranked[0] = replace(ranked[0], verdict="chosen", text="would be used now")
    others = sorted((each for each in judged if each.verdict != "candidate"), key=_place)
    return ranked + others


def _place(reason: Reason) -> tuple[int, int, float, float]:
    return reason.order or 0, reason.tier, reason.taken / reason.weight, -reason.weight


def _excluded(exclusion: Exclusion) -> Reason:
    standing: AccountStatus = exclusion.standing
    account = standing.account
    return Reason(
        account.id, account.name, account.provider, exclusion.code, exclusion.text, tier=account.tier
    )
