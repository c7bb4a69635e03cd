"""`filmgate routes`: who serves which model name, changed in the store directly."""

import json
import re
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.explanation import AccountExplanation, explain_accounts
from app.catalog.route_documents import RouteDocument, read_route
from app.catalog.route_repository import StoredRoute
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.generation import GenerationRequest

commands = typer.Typer(
    help="Say which accounts serve a model name, and see why one is chosen.", no_args_is_help=True
)
CANDIDATE = re.compile(r"([^=]+?)(?:=(.+?))?(?:@(\d+(?:\.\d+)?))?")
SELECTORS = ("provider:", "tag:")
COLOURS = {"chosen": "green", "candidate": "green", "busy": "yellow", "cooling": "yellow"}


@commands.command("list")
def list_routes() -> None:
    """Every route."""

    async def load_routes(components: Components) -> list[StoredRoute]:
        return await components.catalog.routes.list()

    found = plain_table("MODEL", "LEADS TO", "STATE", "FROM", "NOTE")
    for route in with_store(load_routes):
        document = route.document
        state = "[green]in use[/]" if document.enabled else "[red]off[/]"
        found.add_row(
            escape(route.model), escape(route_text(document)), state, route.source, escape(document.note)
        )
    if found.row_count:
        out.print(found)
    else:
        err.print(
            "No routes: every name goes to the accounts that map it, and the manuals' names to all.\n"
            "`filmgate routes set MODEL ACCOUNT …` writes one."
        )


@commands.command("set")
def set_route(
    model: Annotated[str, typer.Argument(help="The public name, or a family like 'veo*'.")],
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            help="In order: NAME, provider:NAME, tag:NAME or any; =UPSTREAM says the model there, @WEIGHT the share. "
            "A comma puts several on one step.",
        ),
    ] = None,
    *,
    alias: Annotated[str | None, typer.Option(help="Stand for this name instead.")] = None,
    note: Annotated[str, typer.Option(help="For yourself.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Write it, but don't use it yet.")] = False,
    document: Annotated[
        str | None, typer.Option("--json", help="The whole route as a JSON file, or - for stdin.")
    ] = None,
) -> None:
    """Write a route in place of the one of the same name, for example:
    filmgate routes set sora-2 kling,runway@2 tag:spare any"""
    if document is not None:
        read = read_route({**_read_object(document), "model": model})
    else:
        written = [
            _parse_candidate(text.strip(), order=order)
            for order, step in enumerate(candidates or [])
            for text in step.split(",")
        ]
        read = read_route(
            {"model": model, "alias_of": alias, "candidates": written, "note": note, "enabled": not off}
        )

    async def save_route(components: Components) -> list[str]:
        await components.catalog.routes.put(read)
        return await unknown_accounts(components, read)

    missing = with_store(save_route)
    out.print(f"{escape(model)} leads to {escape(route_text(read))}.")
    if missing:
        err.print(f"[yellow]There is no account {escape(', '.join(missing))} yet.[/]")


@commands.command()
def remove(model: str) -> None:
    """Forget a route; the accounts' own model maps decide again."""

    async def delete_route(components: Components) -> None:
        await components.catalog.routes.delete(model)

    with_store(delete_route)
    out.print(f"Removed the route {escape(model)}.")


@commands.command("explain")
def explain_model(
    model: str,
    *,
    seconds: Annotated[float | None, typer.Option(help="Of the video that is asked for.")] = None,
    size: Annotated[str | None, typer.Option(help="WxH.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
) -> None:
    """Why each account is, or is not, chosen for a model right now."""

    async def collect_reasons(components: Components) -> tuple[str, list[AccountExplanation]]:
        catalog = components.catalog
        await catalog.current_statuses()
        kind, resolution = catalog.kind_of(model), catalog.resolve_name(model)
        request = None
        if (seconds or size) and kind != "text":
            asked = {"kind": kind, "model": model, "seconds": seconds, "size": size}
            request = GenerationRequest.model_validate(asked)
        way = " → ".join(resolution.path) + (f": {resolution.problem}" if resolution.problem else "")
        by = f"the route {resolution.route.model}" if resolution.route else "no route; the accounts' own maps"
        return f"{kind} by {way}, {by}", await explain_accounts(catalog, kind, model, request=request)

    way, reasons = with_store(collect_reasons)
    if as_json:
        print(json.dumps([{name: getattr(each, name) for name in each.__slots__} for each in reasons]))
        return
    out.print(escape(way))
    found = plain_table("", "ACCOUNT", "UPSTREAM MODEL", "STEP", "TIER", "SHARE", "BUSY", "WHY")
    for each in reasons:
        found.add_row(*_reason_row(each))
    out.print(found)


def _reason_row(reason: AccountExplanation) -> tuple[str, ...]:
    colour = COLOURS.get(reason.verdict, "red")
    until = f" until {local_time(reason.until)}" if reason.until else ""
    return (
        "" if reason.rank is None else str(reason.rank),
        escape(reason.account),
        escape(reason.upstream_model or ""),
        "" if reason.order is None else str(reason.order),
        str(reason.tier),
        f"{reason.weight:g}",
        "" if reason.slots is None else f"{reason.taken}/{reason.slots}",
        f"[{colour}]{reason.verdict.replace('_', ' ')}[/]{until}: {escape(reason.text)}",
    )


def route_text(document: RouteDocument) -> str:
    """A route as one line."""
    if document.alias_of is not None:
        return document.alias_of
    steps: dict[int, list[str]] = {}
    for order, each in document.numbered_candidates():
        text = each.selector_text + (f" as {each.model}" if each.model else "")
        steps.setdefault(order, []).append(text + (f" ×{each.weight:g}" if each.weight != 1 else ""))
    return ", then ".join(" | ".join(step) for step in steps.values())


async def unknown_accounts(components: Components, document: RouteDocument) -> list[str]:
    """Accounts that a route names and nobody has added yet."""
    standings = [*await components.pool.current_statuses(), *components.pool.misconfigured()]
    known = {name for each in standings for name in (each.account.name, each.account.id)}
    return [each.account for each in document.candidates if each.account and each.account not in known]


def _parse_candidate(text: str, *, order: int) -> dict[str, Any]:
    match = CANDIDATE.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"candidates: {text or 'an empty one'} must be like NAME=UPSTREAM@WEIGHT")
    who, model, weight = match.groups()
    selector = next((prefix for prefix in SELECTORS if who.startswith(prefix)), None)
    found: dict[str, Any] = {"order": order}
    if who == "any":
        found["any"] = True
    elif selector:
        found[selector[:-1]] = who.removeprefix(selector)
    else:
        found["account"] = who
    return found | ({"model": model} if model else {}) | ({"weight": weight} if weight else {})


def _read_object(place: str) -> dict[str, Any]:
    try:
        text = sys.stdin.read() if place == "-" else Path(place).read_text()
        found = json.loads(text)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"--json: {place} can't be read: {error}") from error
    if not isinstance(found, dict):
        raise InvalidRequest("--json: must hold one JSON object")
    return found
