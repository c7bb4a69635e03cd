"""Which parts of a price count for which models: a part that never counts would make calls free in silence."""

from collections.abc import Mapping

from app.catalog.catalog import Catalog
from app.catalog.price import ModelPrice
from app.errors import InvalidRequest
from app.generation import Kind

ALWAYS = frozenset({"per_call", "per_million_input", "per_million_output"})
PARTS_BY_KIND: Mapping[Kind, frozenset[str]] = {
    "video": ALWAYS | {"per_second", "per_unit"},
    "audio": ALWAYS | {"per_second", "per_unit"},
    "image": ALWAYS | {"per_image", "per_unit"},
    "text": ALWAYS | {"per_second"},
}
"""Speech servers are usually set up as text accounts, and a transcription costs by its seconds."""


def uncounted_parts(catalog: Catalog, model: str, price: ModelPrice) -> list[str]:
    """The parts of a price that never count for a model or family, from memory; none while nobody knows what it makes."""
    kinds = catalog.kinds_made(model)
    counted = frozenset().union(*(PARTS_BY_KIND[kind] for kind in kinds)) if kinds else price.parts
    return sorted(price.parts - counted)


async def require_counted_parts(catalog: Catalog, model: str, price: ModelPrice) -> None:
    """Raises ``InvalidRequest`` that names the part, and those that count."""
    await catalog.current_statuses()
    uncounted = uncounted_parts(catalog, model, price)
    if not uncounted:
        return
    kinds = sorted(catalog.kinds_made(model))
    counted = ", ".join(sorted(frozenset().union(*(PARTS_BY_KIND[kind] for kind in kinds))))
    text = f"{uncounted[0]} never counts for {model}, which makes {' and '.join(kinds)}: use {counted}"
    raise InvalidRequest(text, param=uncounted[0])
