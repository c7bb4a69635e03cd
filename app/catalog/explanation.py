"""Why each account is, or is not, chosen for a model at this moment."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from app import clock
from app.accounts.cooldown_rules import running_trials
from app.accounts.limits import Capacity, read_capacity
from app.catalog.candidates import Candidate, ExcludedAccount, ExclusionCode, RankKey, rank_key, usable_now
from app.catalog.catalog import Catalog
from app.catalog.route_documents import Preference
from app.catalog.upstream_request import find_refusal
from app.errors import InvalidRequest
from app.generation import GenerationRequest, Kind

Verdict = (
    Literal["chosen", "candidate", "busy", "incapable", "disabled", "paused", "expired", "cooling"]
    | Literal["quota_exhausted"]
    | ExclusionCode
)


@dataclass(frozen=True, slots=True)
class AccountExplanation:
    """What one account does for a model now. ``rank`` counts from 1 over those that could be used, by order, tier and
    load; equals share a rank. ``until``: when it may change, in UTC seconds. ``taken`` of ``slots`` are in use."""

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
    prefer: Preference | None = None
    figure: float | None = None
    """What its step of the route prefers, and its own figure of that: US dollars a second, seconds, or a share."""


def read_kind(word: str) -> Kind:
    """Raises ``InvalidRequest`` for a word that is none of our kinds."""
    for kind in get_args(Kind):
        if kind == word:
            return kind  # type: ignore[no-any-return]
    raise InvalidRequest(f"kind must be one of {', '.join(get_args(Kind))}", param="kind")


async def explain_accounts(
    catalog: Catalog, kind: Kind, model: str, *, request: GenerationRequest | None = None
) -> list[AccountExplanation]:
    """Every account: the chosen first, then those that could be used, then the others in the route's order.

    With a ``request``, also whether each can do what it asks. Nothing is reserved or changed.
    """
    now = clock.now()
    assessed, capacity = await _read_state(catalog, kind, model, now=now)
    candidates = [each for each in assessed if isinstance(each, Candidate)]
    usable = usable_now(candidates, now, can_wait=kind != "text").candidates
    usable_ids = {candidate.account.id for candidate in usable}
    explained: list[tuple[RankKey, AccountExplanation]] = []
    for candidate in candidates:
        explanation = _candidate_explanation(candidate, kind, capacity)
        if candidate.account.id not in usable_ids:
            explanation = _blocked(explanation, candidate, now=now)
        elif refusal := _capability_refusal(catalog, candidate, request):
            explanation = replace(explanation, verdict="incapable", text=refusal)
        elif kind != "text" and capacity.free_slots(candidate.account, candidate.model, kind) <= 0:
            reason = capacity.reason_full(candidate.account, candidate.model, kind)
            explanation = replace(explanation, verdict="busy", text=reason)
        explained.append((rank_key(candidate, explanation.taken), explanation))
    excluded = [_explain_exclusion(each) for each in assessed if isinstance(each, ExcludedAccount)]
    return [*_rank_explanations(explained), *sorted(excluded, key=lambda reason: reason.account)]


def chosen_text(explained: Iterable[AccountExplanation]) -> str | None:
    """Which account would be used, as a sentence; None when none would."""
    names = [each.account for each in explained if each.verdict == "chosen"]
    if not names:
        return None
    return f"{names[0]} would be used." if len(names) == 1 else f"One of {', '.join(names)} would be used."


async def _read_state(
    catalog: Catalog, kind: Kind, model: str, *, now: float
) -> tuple[list[Candidate | ExcludedAccount], Capacity]:
    statuses = await catalog.current_statuses()
    assessed = catalog.assessed_accounts(kind, model)
    async with catalog.pool.database.read() as connection:
        capacity = await read_capacity(connection, statuses, now=now)
        ids = [each.account.id for each in assessed if isinstance(each, Candidate)]
        capacity.trials_under_way = await running_trials(connection, ids, now)
    return assessed, capacity


def _candidate_explanation(candidate: Candidate, kind: Kind, capacity: Capacity) -> AccountExplanation:
    account = candidate.account
    return AccountExplanation(
        account.id,
        account.name,
        account.provider,
        "candidate",
        "could be used",
        order=candidate.order,
        tier=account.tier,
        weight=candidate.share,
        upstream_model=candidate.model,
        taken=capacity.slots_taken.get((account.id, kind), 0),
        slots=None if kind == "text" else account.slots_for(kind),
        prefer=candidate.prefer,
        figure=candidate.figure,
    )


def _blocked(explanation: AccountExplanation, candidate: Candidate, *, now: float) -> AccountExplanation:
    blocked = candidate.status.blocked_by(candidate.model, now)
    if blocked is None:
        return explanation
    return replace(explanation, verdict=blocked.code, text=blocked.text, until=blocked.until)


def _capability_refusal(
    catalog: Catalog, candidate: Candidate, request: GenerationRequest | None
) -> str | None:
    if request is None:
        return None
    provider = catalog.pool.provider_for(candidate.account)
    refusal = find_refusal(request, candidate, provider, gives_addresses=catalog.gives_addresses)
    return refusal.message if refusal is not None else None


def _rank_explanations(explained: list[tuple[RankKey, AccountExplanation]]) -> list[AccountExplanation]:
    """Among equals, only the process that assigns knows whose turn it is: all of them are ``chosen``."""
    usable = sorted((pair for pair in explained if pair[1].verdict == "candidate"), key=lambda pair: pair[0])
    keys = [key for key, _ in usable]
    ranked = [replace(each, rank=keys.index(key) + 1) for key, each in usable]
    first = keys.count(keys[0]) if keys else 0
    text = "would be used now" if first == 1 else f"one of {first} that would be used now"
    chosen = [replace(each, verdict="chosen", text=text) for each in ranked[:first]]
    others = sorted((pair for pair in explained if pair[1].verdict != "candidate"), key=lambda pair: pair[0])
    return [*chosen, *ranked[first:], *(each for _, each in others)]


def _explain_exclusion(exclusion: ExcludedAccount) -> AccountExplanation:
    account = exclusion.status.account
    return AccountExplanation(
        account.id, account.name, account.provider, exclusion.code, exclusion.text, tier=account.tier
    )
