"""Prices as people write and read them."""

from app.catalog.price import ANY_SIZE, ModelPrice
from app.db.money import format_money
from app.errors import InvalidRequest


def price_text(price: ModelPrice) -> str:
    """A price as one line."""
    fixed = {
        "a call": price.per_call,
        "a million input tokens": price.per_million_input,
        "a million output tokens": price.per_million_output,
    }
    parts = [f"${format_money(amount)} {name}" for name, amount in fixed.items() if amount]
    for word, by_size in (("a second", price.per_second), ("an image", price.per_image)):
        parts += [
            f"${format_money(amount)} {word}{'' if size == ANY_SIZE else f' of {size}'}"
            for size, amount in by_size.items()
        ]
    parts += [f"${format_money(amount)} per {unit}" for unit, amount in price.per_unit.items()]
    return " + ".join(parts) or "nothing"


def parse_rates(given: list[str] | None) -> dict[str, str]:
    """``SIZE=USD``; a bare amount is for every size."""
    found: dict[str, str] = {}
    for text in given or ():
        name, equals, amount = text.rpartition("=")
        if equals and not name.strip():
            raise InvalidRequest(f"{text} must be like 720p=0.10")
        found[name or ANY_SIZE] = amount
    return found
