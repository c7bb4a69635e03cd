"""``max_cost`` of a request: the most, in US dollars, that its client will pay for it.

An account whose form of the request would cost more is passed over, also after the task was accepted. What is charged in
the end is never more (``app/tasks/cost_limits.py``).
"""

from app.catalog.fitting import Fitting
from app.catalog.price import ModelPrice
from app.db.tables import format_money
from app.errors import InvalidRequest
from app.generation import GenerationRequest

FIELD = "max_cost"


def over_bound(
    request: GenerationRequest, fitting: Fitting | None, price: ModelPrice | None
) -> InvalidRequest | None:
    """Why the client would not pay for what is made instead of its request; None where it would."""
    if request.max_cost is None or price is None:
        return None
    cost = price.estimate_request(fitting.applied_to(request) if fitting else request)
    if cost <= request.max_cost:
        return None
    most = format_money(request.max_cost)
    return InvalidRequest(f"It would cost about ${format_money(cost)}, and max_cost is ${most}.", param=FIELD)
