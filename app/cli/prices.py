"""`filmgate prices`: prices of models for client keys, changed in the store directly."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.price import ANY_SIZE, ModelPrice, read_price
from app.catalog.price_units import require_counted_parts
from app.cli.output import out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.db.tables import format_money
from app.errors import InvalidRequest

commands = typer.Typer(help="List and set what models cost client keys, in US dollars.", no_args_is_help=True)
ModelName = Annotated[str, typer.Argument(metavar="MODEL", help="A public name, or a pattern like 'veo*'.")]
Rates = Annotated[
    list[str] | None, typer.Option(metavar="SIZE=USD", help="720p=0.10, 1280x720=0.10 or 0.10; repeatable.")
]
Units = Annotated[
    list[str] | None, typer.Option(metavar="NAME=USD", help="Per unit that the upstream reports; repeatable.")
]
Dollars = Annotated[str | None, typer.Option(metavar="USD")]
MostTokens = Annotated[
    int | None,
    typer.Option(
        metavar="TOKENS", help="The longest answer, held for a call without a limit; 65536 if not given."
    ),
]


@commands.command("list")
def list_prices() -> None:
    """List all prices, including the default ones."""
    table = plain_table("MODEL", "PRICE", "FROM")
    for line in with_store(lambda components: components.money.prices.list_lines()):
        table.add_row(escape(line.model), escape(price_text(line.price)), line.source)
    out.print(table)


@commands.command("set")
def set_price(
    model: ModelName,
    *,
    per_call: Dollars = None,
    per_second: Rates = None,
    per_image: Rates = None,
    per_million_input: Dollars = None,
    per_million_output: Dollars = None,
    per_unit: Units = None,
    most_output_tokens: MostTokens = None,
) -> None:
    """Set the price of a model, in place of the present one. Existing tasks keep their price. The parts are added up;
    without any, the model is free."""
    given: dict[str, Any] = {
        "per_call": per_call,
        "per_second": parse_rates(per_second),
        "per_image": parse_rates(per_image),
        "per_million_input": per_million_input,
        "per_million_output": per_million_output,
        "per_unit": parse_rates(per_unit),
        "most_output_tokens": most_output_tokens,
    }
    price = read_price({name: value for name, value in given.items() if value})

    async def set_in_store(components: Components) -> None:
        await require_counted_parts(components.catalog, model, price)
        await components.money.prices.set_price(model, price)

    with_store(set_in_store)
    out.print(f"{escape(model)} costs {escape(price_text(price))}.")


@commands.command("remove")
def remove_price(model: ModelName) -> None:
    """Remove a price. A default price applies again."""
    with_store(lambda components: components.money.prices.remove_price(model))
    out.print(f"Removed the price of {escape(model)}.")


def price_text(price: ModelPrice) -> str:
    """A price as one line, like ``$0.1 per second of 720p + $0.02 per call``."""
    fixed = {
        "call": price.per_call,
        "million input tokens": price.per_million_input,
        "million output tokens": price.per_million_output,
    }
    parts = [f"${format_money(amount)} per {unit}" for unit, amount in fixed.items() if amount]
    for unit, by_size in (("second", price.per_second), ("image", price.per_image)):
        parts += [
            f"${format_money(amount)} per {unit}{'' if size == ANY_SIZE else f' of {size}'}"
            for size, amount in by_size.items()
        ]
    parts += [f"${format_money(amount)} per {unit}" for unit, amount in price.per_unit.items()]
    return " + ".join(parts) or "nothing"


def parse_rates(texts: list[str] | None) -> dict[str, str]:
    """Prices by size from ``SIZE=USD``; a bare amount applies to every size. Raises ``InvalidRequest``."""
    rates: dict[str, str] = {}
    for text in texts or ():
        name, equals, amount = text.rpartition("=")
        if equals and not name.strip():
            raise InvalidRequest(f"{text} must be like 720p=0.10")
        rates[name or ANY_SIZE] = amount
    return rates
