"""What a request would be made by, and for how much, as things stand now: asked without making or reserving anything."""

from dataclasses import dataclass
from decimal import Decimal

from app import clock
from app.accounts.limits import read_capacity
from app.catalog.candidates import Candidate, rank_key, usable_now
from app.catalog.catalog import Catalog
from app.catalog.fitting import Fitting
from app.catalog.price import ModelPrice
from app.generation import GenerationRequest
from app.tasks.makers import Makers, MakerSearch


@dataclass(frozen=True, slots=True)
class Quote:
    """``price``: the estimate in US dollars for the account that is first in line, None where it is known only afterwards;
    ``reserved``: what would be reserved, as another account may get it. ``seconds``: how long it takes there, by the median
    of our own tasks; None where too few are known. ``segments``: seconds of each segment of a film that is joined."""

    request: GenerationRequest
    candidate: Candidate
    fitting: Fitting | None
    price: Decimal | None
    reserved: Decimal
    seconds: float | None
    segments: tuple[float, ...] = ()

    @property
    def made(self) -> GenerationRequest:
        """The request as its upstream would get it."""
        return self.fitting.applied_to(self.request) if self.fitting else self.request


async def quote_request(
    request: GenerationRequest,
    price: ModelPrice | None,
    *,
    catalog: Catalog,
    search: MakerSearch,
    only: str | None = None,
) -> Quote:
    """Raises what creating it would raise. ``only``: the account that the operator has chosen."""
    maker = await search.remix_candidate(request)
    found = search.judge_accounts(request, await search.candidates(request, maker, only), price)
    able = {candidate.account.id: (candidate, fitting) for candidate, fitting in found.able}
    if maker is not None and maker.account.id in able:
        candidate, fitting = able[maker.account.id]
    else:
        candidate, fitting = able[(await _first_in_line(request, found, catalog)).account.id]
    forms = [each.applied_to(request) if each else request for each in found.fittings]
    nothing = Decimal(0)
    figures = await catalog.figures.refresh()
    made = fitting.applied_to(request) if fitting else request
    return Quote(
        request,
        candidate,
        fitting,
        price=nothing if price is None else price.estimate_request(made) if price.has_estimate else None,
        reserved=max(price.estimate_request(form) for form in forms) if price else nothing,
        seconds=None if found.plan else figures.seconds.get((candidate.account.id, candidate.model)),
        segments=tuple(found.plan.shares) if found.plan else (),
    )


async def _first_in_line(request: GenerationRequest, found: Makers, catalog: Catalog) -> Candidate:
    """Who would get it now; while none may take it, who is first among those that it would wait for."""
    now = clock.now()
    able = [candidate for candidate, _ in found.able]
    statuses = await catalog.current_statuses()
    async with catalog.pool.database.read() as connection:
        capacity = await read_capacity(connection, statuses, now=now)
    usable = usable_now(able, now).candidates or able
    free = [each for each in usable if capacity.free_slots(each.account, each.model, request.kind) > 0]
    taken = capacity.slots_taken
    return min(free or usable, key=lambda each: rank_key(each, taken.get((each.account.id, request.kind), 0)))
