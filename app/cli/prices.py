"""`filmgate prices`: what models cost clients' keys, changed in the store directly."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.price import read_price
from app.cli.output import out, plain_table
from app.cli.price_words import parse_rates, price_text
from app.cli.store_access import with_store
from app.components import Components

commands = typer.Typer(help="Say what models cost clients' keys, in US dollars.", no_args_is_help=True)
Model = Annotated[str, typer.Argument(metavar="MODEL", help="A public name, or a family like 'veo*'.")]
Rates = Annotated[
    list[str] | None, typer.Option(metavar="SIZE=USD", help="720p=0.10, 1280x720=0.10 or 0.10; repeatable.")
]
Units = Annotated[
    list[str] | None, typer.Option(metavar="NAME=USD", help="Of what the upstream says it used; repeatable.")
]
Dollars = Annotated[str | None, typer.Option(metavar="USD")]


@commands.command("list")
def list_prices() -> None:
    """Every price, also those that are there by default."""

    async def print_prices(components: Components) -> None:
        found = plain_table("MODEL", "PRICE", "FROM")
        for line in await components.money.prices.list_lines():
            found.add_row(escape(line.model), escape(price_text(line.price)), line.source)
        out.print(found)

    with_store(print_prices)


@commands.command("set")
def set_price(
    model: Model,
    *,
    per_call: Dollars = None,
    per_second: Rates = None,
    per_image: Rates = None,
    per_million_input: Dollars = None,
    per_million_output: Dollars = None,
    per_unit: Units = None,
) -> None:
    """Write a price in place of the one of the same name; tasks that exist keep the old one. Parts add up;
    without any, the model costs nothing."""
    given: dict[str, Any] = {
        "per_call": per_call,
        "per_second": parse_rates(per_second),
        "per_image": parse_rates(per_image),
        "per_million_input": per_million_input,
        "per_million_output": per_million_output,
        "per_unit": parse_rates(per_unit),
    }
    price = read_price({name: value for name, value in given.items() if value})

    async def store_price(components: Components) -> None:
        await components.money.prices.set_price(model, price)

    with_store(store_price)
    out.print(f"{escape(model)} costs {escape(price_text(price))}.")


@commands.command()
def remove(model: Model) -> None:
    """Forget a price; a default one comes back."""

    async def delete_price(components: Components) -> None:
        await components.money.prices.remove_price(model)

    with_store(delete_price)
    out.print(f"Removed the price of {escape(model)}.")
