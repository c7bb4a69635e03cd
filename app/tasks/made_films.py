"""What an ended task adds to reports: its films, their length, and what its vendor charges us for it.

The vendor's own word counts, also for a film that was not made. Without one, a film costs its list price times the
account's factor; nothing is guessed where neither is known.
"""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.catalog.fitting import Fitting
from app.catalog.price import billed_seconds, cost_of_units, resolution_of
from app.db.tables import round_money
from app.generation import GenerationRequest
from app.providers.model_facts import ModelFacts, read_facts
from app.tasks.states import JOINED, SEGMENT_DIALECT
from app.tasks.task import StoredFile, read_result

VendorTold = Mapping[str, Any] | Decimal | None
"""What a vendor said of its charge for a task without a film: in its own units, or in US dollars as once understood."""


def film_figures(row: Any, told: VendorTold = None) -> dict[str, Any]:
    """Columns of ``usage``. ``row``: the task's result, request, upstream model, and provider and factor of its account. A
    film that is joined is one film; what its vendors charge stands with its segments."""
    figures = _figures_of(row, told)
    if row.account_id == JOINED:
        return figures | {"vendor_cost": Decimal(0)}
    if row.dialect == SEGMENT_DIALECT:
        return figures | {"films": 0, "film_milliseconds": 0}
    return figures


def _figures_of(row: Any, told: VendorTold) -> dict[str, Any]:
    is_made = row.state == "completed" and row.result
    result = read_result(row.result) if is_made else None
    films = [file for file in result.files if file.content_type.startswith("video/")] if result else []
    lengths = (file.made_seconds or file.seconds or 0.0 for file in films)
    return {
        "films": len(films),
        "film_milliseconds": round(sum(lengths) * 1000),
        "vendor_cost": _vendor_cost(row, films, result.usage if result else told),
    }


def _vendor_cost(row: Any, films: list[StoredFile], told: VendorTold) -> Decimal | None:
    """US dollars; None where nothing is known."""
    if isinstance(told, Decimal) or not row.provider:
        return told if isinstance(told, Decimal) else None
    usage = told or {}
    stated = cost_of_units(read_facts(row.provider).billed, usage)
    if stated is not None:
        return stated
    factor = Decimal(str(row.cost_factor))
    if not factor:
        return Decimal(0)
    listed = _list_cost(row, films, usage)
    return None if listed is None else round_money(listed * factor)


def _list_cost(row: Any, films: list[StoredFile], usage: Mapping[str, Any]) -> Decimal | None:
    """None where the vendor's list price of one of them is not known."""
    facts = read_facts(row.provider).find_model(row.upstream_model or "")
    if facts is None or not facts.prices or not films:
        return None
    request = _bought(row)
    total = Decimal(0)
    for film in films:
        rate = _list_rate(facts, film)
        if rate is None:
            return None
        total += rate * billed_seconds(film, request, usage, alone=len(films) == 1)
    return total


def _bought(row: Any) -> GenerationRequest:
    """What the vendor was asked for."""
    request = GenerationRequest.model_validate_json(row.request)
    return Fitting.model_validate(json.loads(row.fitted)).applied_to(request) if row.fitted else request


def _list_rate(facts: ModelFacts, film: StoredFile) -> Decimal | None:
    """US dollars a second, for exactly this resolution."""
    return facts.rate_for(resolution_of(f"{film.width}x{film.height}") if film.width and film.height else "")
