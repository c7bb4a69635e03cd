"""What a finished task adds to reports: its films, their length, and what its vendor charges by its list price."""

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from app.catalog.fitting import Fitting
from app.catalog.price import billed_seconds, resolution_of
from app.generation import GenerationRequest
from app.providers.model_facts import ModelFacts, read_facts
from app.tasks.task import StoredFile, TaskResult

ANY_RESOLUTION = "any"
NOTHING_MADE: Mapping[str, Any] = {"films": 0, "film_milliseconds": 0, "vendor_cost": None}


def film_figures(row: Any) -> dict[str, Any]:
    """Columns of ``usage``. ``row``: the task's result, request, upstream model and the provider of its account."""
    if row.state != "completed" or not row.result:
        return dict(NOTHING_MADE)
    result = TaskResult.model_validate_json(row.result)
    films = [file for file in result.files if file.content_type.startswith("video/")]
    lengths = (file.made_seconds or file.seconds or 0.0 for file in films)
    return {
        "films": len(films),
        "film_milliseconds": round(sum(lengths) * 1000),
        "vendor_cost": _list_cost(row, result, films),
    }


def _list_cost(row: Any, result: TaskResult, films: list[StoredFile]) -> Decimal | None:
    """None where the vendor's list price of one of them is not known."""
    facts = read_facts(row.provider).find_model(row.upstream_model or "") if row.provider else None
    if facts is None or not facts.prices or not films:
        return None
    request = _bought(row)
    total = Decimal(0)
    for film in films:
        rate = _list_rate(facts, film)
        if rate is None:
            return None
        total += rate * billed_seconds(film, request, result.usage, alone=len(films) == 1)
    return total


def _bought(row: Any) -> GenerationRequest:
    """What the vendor was asked for."""
    request = GenerationRequest.model_validate_json(row.request)
    return Fitting.model_validate(json.loads(row.fitted)).applied_to(request) if row.fitted else request


def _list_rate(facts: ModelFacts, film: StoredFile) -> Decimal | None:
    """US dollars a second, for exactly this resolution."""
    resolution = resolution_of(f"{film.width}x{film.height}") if film.width and film.height else ""
    names = [name for name, height in facts.tiers.items() if f"{height}p" == resolution]
    for name in (resolution, *names, ANY_RESOLUTION):
        if name in facts.prices:
            return Decimal(str(facts.prices[name]))
    return None
