"""Prices as people write and read them."""

from app.catalog.price import ANY, Price
from app.db.money import shown
from app.errors import InvalidRequest


def told(price: Price) -> str:
    """A price as one line."""
    fixed = {
        "a call": price.per_call,
        "a million input tokens": price.per_million_input,
        "a million output tokens": price.per_million_output,
    }
    parts = [f"${shown(amount)} {name}" for name, amount in fixed.items() if amount]
    for word, by_size in (("a second", price.per_second), ("an image", price.per_image)):
        parts += [
            f"${shown(amount)} {word}{'' if size == ANY else f' of {size}'}"
            for size, amount in by_size.items()
        ]
    parts += [f"${shown(amount)} per {unit}" for unit, amount in price.per_unit.items()]
    return " + ".join(parts) or "nothing"


def rates(given: list[str] | None) -> dict[str, str]:
    """``SIZE=USD``; a bare amount is for every size."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, amount = text.rpartition("=")
        if equals and not name.strip():
            raise InvalidRequest(f"{text} must be like 720p=0.10")
        found[name or ANY] = amount
    return found
