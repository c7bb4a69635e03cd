"""Which accounts can make what a request asks for, and how: asked before a task is written, and for a quote."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from app import clock
from app.catalog.candidates import Candidate
from app.catalog.catalog import Catalog
from app.catalog.cost_bounds import over_bound
from app.catalog.fitting import Fitting
from app.catalog.price import ModelPrice
from app.catalog.upstream_request import adapt_for, join_refusals, judged_alike, refusal_of
from app.errors import FilmgateError, NoAvailableAccount
from app.generation import GenerationRequest
from app.tasks.repository import TaskRepository

if TYPE_CHECKING:
    from app.catalog.segments import FilmPlan


@dataclass(frozen=True, slots=True)
class Makers:
    """The accounts that can make it, each with how it would fit the request; the different ones of these fittings; the ids
    of the accounts that can't; and how it is joined of segments, where no account makes it in one piece."""

    able: Sequence[tuple[Candidate, Fitting | None]]
    fittings: Sequence[Fitting | None]
    unable: Sequence[str]
    plan: "FilmPlan | None" = None


class MakerSearch:
    """Asks the catalog and the adapters; sends nothing."""

    def __init__(self, repository: TaskRepository, catalog: Catalog) -> None:
        self._tasks = repository
        self._catalog = catalog

    def judge_accounts(
        self, request: GenerationRequest, candidates: Sequence[Candidate], price: ModelPrice | None
    ) -> Makers:
        """Raises what the adapters refuse when none of them can make it."""
        plan = self._catalog.plan_film(request, candidates)
        if plan is not None:
            return _joined(request, candidates, plan, price=price)
        judged: dict[Hashable, tuple[Fitting | None, FilmgateError | None]] = {}
        found = []
        for candidate in candidates:
            alike = judged_alike(candidate)
            if alike not in judged:
                judged[alike] = self._judge_one(request, candidate, price)
            found.append((candidate, *judged[alike]))
        refusals = [(candidate, refusal) for candidate, _, refusal in found if refusal is not None]
        if len(refusals) == len(found):
            for candidate, _ in refusals:
                self._catalog.pool.provider_for(candidate.account).ask_about(candidate.model)
            raise join_refusals(refusals)
        return Makers(
            able=[(candidate, fitting) for candidate, fitting, refusal in found if refusal is None],
            fittings=[fitting for fitting, refusal in judged.values() if refusal is None],
            unable=sorted(candidate.account.id for candidate, _ in refusals),
        )

    def _judge_one(
        self, request: GenerationRequest, candidate: Candidate, price: ModelPrice | None
    ) -> tuple[Fitting | None, FilmgateError | None]:
        provider = self._catalog.pool.provider_for(candidate.account)
        adapted = adapt_for(request, candidate, provider, model=candidate.model)
        refusal = refusal_of(
            adapted.request, provider, model=candidate.model, gives_addresses=self._catalog.gives_addresses
        )
        if refusal is None and request.max_cost is not None:
            refusal = over_bound(request, adapted.fitting, price)
        return adapted.fitting, refusal

    async def remix_candidate(self, request: GenerationRequest) -> Candidate | None:
        """The account that made the source of a remix, even if disabled since: only its upstream knows the source."""
        source = await self._tasks.get(request.remix_of) if request.remix_of else None
        if source is None or source.account_id is None:
            return None
        await self._catalog.current_statuses()
        for candidate in self._catalog.candidates(request.kind, request.model):
            if candidate.account.id == source.account_id:
                enabled_status = replace(candidate.status, enabled=True)
                return (
                    candidate
                    if self._catalog.recovers_soon(enabled_status, candidate.model, clock.now())
                    else None
                )
        return None

    async def candidates(
        self, request: GenerationRequest, maker: Candidate | None, only: str | None
    ) -> list[Candidate]:
        """Raises what ``Catalog.require_candidates`` raises. ``only``: the account that the operator has chosen."""
        if only is not None:
            return [await self._catalog.require_candidate(request.kind, request.model, account_id=only)]
        try:
            able = await self._catalog.require_candidates(request.kind, request.model)
        except NoAvailableAccount:
            if maker is None:
                raise
            return [maker]
        known = maker is None or maker.account.id in {each.account.id for each in able}
        return able if known or maker is None else [*able, maker]


def _joined(
    request: GenerationRequest, candidates: Sequence[Candidate], plan: "FilmPlan", *, price: ModelPrice | None
) -> Makers:
    """The accounts of its plan. ``max_cost`` bounds the whole film."""
    if refusal := over_bound(request, None, price):
        raise refusal
    able = [(each, None) for each in candidates if each.account.id not in plan.without]
    return Makers(able, [None], [], plan)
