"""`filmgate prices`: what models cost clients' keys, changed in the store directly."""

from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.price import read_price
from app.cli.opened import with_store
from app.cli.output import out, table
from app.cli.price_words import rates, told
from app.parts import Parts

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
def show() -> None:
    """Every price, also those that are there by default."""

    async def work(parts: Parts) -> None:
        found = table("MODEL", "PRICE", "FROM")
        for line in await parts.books.prices.lines():
            found.add_row(escape(line.model), escape(told(line.price)), line.source)
        out.print(found)

    with_store(work)


@commands.command("set")
def write(
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
        "per_second": rates(per_second),
        "per_image": rates(per_image),
        "per_million_input": per_million_input,
        "per_million_output": per_million_output,
        "per_unit": rates(per_unit),
    }
    price = read_price({name: value for name, value in given.items() if value})

    async def work(parts: Parts) -> None:
        await parts.books.prices.set(model, price)

    with_store(work)
    out.print(f"{escape(model)} costs {escape(told(price))}.")


@commands.command()
def remove(model: Model) -> None:
    """Forget a price; a default one comes back."""

    async def work(parts: Parts) -> None:
        await parts.books.prices.remove(model)

    with_store(work)
    out.print(f"Removed the price of {escape(model)}.")
