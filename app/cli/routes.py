"""`filmgate routes`: which accounts serve a model name, changed in the store directly."""

import json
import re
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.catalog.catalog import Catalog
from app.catalog.explanation import AccountExplanation, explain_accounts, read_kind
from app.catalog.route_documents import NO_RETRY, RouteDocument, read_route
from app.cli.arguments import read_text
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest
from app.generation import GenerationRequest, Kind

commands = typer.Typer(
    help="Set which accounts serve a model name, and explain which one is chosen.", no_args_is_help=True
)
CANDIDATE = re.compile(r"([^=]+?)(?:=(.+?))?(?:@(\d+(?:\.\d+)?))?")
SELECTORS = ("provider:", "tag:")
COLOURS = {"chosen": "green", "candidate": "green", "busy": "yellow", "cooling": "yellow"}


@commands.command("list")
def list_routes() -> None:
    """List all routes."""
    table = plain_table("MODEL", "SERVED BY", "STATE", "FROM", "NOTE")
    for route in with_store(lambda components: components.catalog.routes.list()):
        document = route.document
        state = "[green]enabled[/]" if document.enabled else "[red]disabled[/]"
        table.add_row(
            escape(route.model), escape(route_text(document)), state, route.source, escape(document.note)
        )
    if table.row_count:
        out.print(table)
    else:
        err.print(
            "No routes: a name is served by the accounts that map it, a preset name by all.\n"
            "`filmgate routes set MODEL ACCOUNT …` creates one."
        )


@commands.command("set")
def set_route(
    model: Annotated[str, typer.Argument(help="The public name, or a pattern like 'veo*'.")],
    candidates: Annotated[
        list[str] | None,
        typer.Argument(
            help="In order: NAME, provider:NAME, tag:NAME or any. =UPSTREAM sets the upstream model, @WEIGHT the share. "
            "Candidates separated by a comma share one step.",
        ),
    ] = None,
    *,
    alias: Annotated[str | None, typer.Option(help="Make it an alias of this name.")] = None,
    retry: Annotated[
        str | None,
        typer.Option(
            help="How often a vendor's failure goes on elsewhere, like failed=2,moderated=1,retired=1."
        ),
    ] = None,
    note: Annotated[str, typer.Option(help="A note for yourself.")] = "",
    off: Annotated[bool, typer.Option("--off", help="Save the route disabled.")] = False,
    document: Annotated[
        str | None, typer.Option("--json", help="The whole route as a JSON file, or - for stdin.")
    ] = None,
) -> None:
    """Set the route of a model, in place of the present one, for example:
    filmgate routes set sora-2 kling,runway@2 tag:spare any"""
    if document is not None:
        route = read_route({**_read_object(document), "model": model})
    else:
        written = [
            _parse_candidate(text.strip(), order=order)
            for order, step in enumerate(candidates or [])
            for text in step.split(",")
        ]
        fields = {"alias_of": alias, "candidates": written, "note": note, "enabled": not off}
        route = read_route({"model": model, **fields, "retry": _parse_retry(retry) if retry else None})

    async def save_route(components: Components) -> list[str]:
        await components.catalog.routes.put(route)
        return await unknown_accounts(components, route)

    missing = with_store(save_route)
    out.print(f"{escape(model)} is served by {escape(route_text(route))}.")
    if missing:
        err.print(f"[yellow]There is no account {escape(', '.join(missing))} yet.[/]")


@commands.command("remove")
def remove_route(model: str) -> None:
    """Remove a route. The model maps of the accounts apply again."""
    with_store(lambda components: components.catalog.routes.delete(model))
    out.print(f"Removed the route {escape(model)}.")


@commands.command("explain")
def explain_model(
    model: str,
    *,
    kind: Annotated[
        str | None,
        typer.Option(help="What is asked for: text, video, image or audio; else what the name says."),
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="Length of the requested video.")] = None,
    size: Annotated[str | None, typer.Option(help="Width x height.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Explain for each account why it would or would not be chosen for a model now."""

    async def collect_reasons(components: Components) -> tuple[str, list[AccountExplanation]]:
        catalog = components.catalog
        await catalog.current_statuses()
        asked, resolution = (
            asked_kind(catalog, model, kind, measured=bool(seconds or size)),
            catalog.resolve_name(model),
        )
        request = None
        if (seconds or size) and asked != "text":
            fields = {"kind": asked, "model": model, "seconds": seconds, "size": size}
            request = GenerationRequest.model_validate(fields)
        path = " → ".join(resolution.path) + (f": {resolution.problem}" if resolution.problem else "")
        source = (
            f"the route {resolution.route.model}" if resolution.route else "the model maps of the accounts"
        )
        return f"{asked}: {path}, by {source}", await explain_accounts(catalog, asked, model, request=request)

    summary, reasons = with_store(collect_reasons)
    if as_json:
        print(json.dumps([{name: getattr(each, name) for name in each.__slots__} for each in reasons]))
        return
    out.print(escape(summary))
    table = plain_table("", "ACCOUNT", "UPSTREAM MODEL", "STEP", "TIER", "SHARE", "BUSY", "WHY")
    for each in reasons:
        table.add_row(*_reason_row(each))
    out.print(table)


def asked_kind(catalog: Catalog, model: str, word: str | None, *, measured: bool) -> Kind:
    """``word``, else what the model makes; a name that may make anything is asked for a video when a length or a size is
    given (``measured``)."""
    if word is not None:
        return read_kind(word)
    kind = catalog.kind_of(model)
    made = catalog.kinds_made(model)
    return "video" if measured and kind == "text" and (not made or "video" in made) else kind


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
        f"[{colour}]{reason.verdict.replace('_', ' ')}[/]{until}: {escape(reason.text)}{_figure_text(reason)}",
    )


def _figure_text(reason: AccountExplanation) -> str:
    """What its step prefers, and how it stands there."""
    if reason.prefer is None:
        return ""
    forms = {"cheapest": "${:g} a second", "fastest": "{:.1f} s", "most_reliable": "{:.0%} succeed"}
    figure = "too little is known" if reason.figure is None else forms[reason.prefer].format(reason.figure)
    return f" ({reason.prefer.replace('_', ' ')} first: {figure})"


def route_text(document: RouteDocument) -> str:
    """A route as one line."""
    if document.alias_of is not None:
        return document.alias_of
    steps: dict[int, list[str]] = {}
    for order, each in document.numbered_candidates():
        text = each.selector_text + (f" as {each.model}" if each.model else "")
        steps.setdefault(order, []).append(text + (f" ×{each.weight:g}" if each.weight != 1 else ""))
    retry = [f"{number}× after {word}" for word, number in (document.retry or NO_RETRY) if number]
    return ", then ".join(" | ".join(step) for step in steps.values()) + "".join(
        f"; again {each}" for each in retry
    )


async def unknown_accounts(components: Components, document: RouteDocument) -> list[str]:
    """Accounts that the route names and that do not exist."""
    statuses = [*await components.pool.current_statuses(), *components.pool.misconfigured()]
    known = {name for each in statuses for name in (each.account.name, each.account.id)}
    return [each.account for each in document.candidates if each.account and each.account not in known]


def _parse_candidate(text: str, *, order: int) -> dict[str, Any]:
    match = CANDIDATE.fullmatch(text)
    if match is None:
        raise InvalidRequest(f"candidates: {text or 'an empty one'} must be like NAME=UPSTREAM@WEIGHT")
    target, model, weight = match.groups()
    selector = next((prefix for prefix in SELECTORS if target.startswith(prefix)), None)
    candidate: dict[str, Any] = {"order": order}
    if target == "any":
        candidate["any"] = True
    elif selector:
        candidate[selector[:-1]] = target.removeprefix(selector)
    else:
        candidate["account"] = target
    return candidate | ({"model": model} if model else {}) | ({"weight": weight} if weight else {})


def _parse_retry(text: str) -> dict[str, int | str]:
    """What is no number is left for the route's own check, which names the field."""
    pairs = [part.strip().partition("=") for part in text.split(",")]
    return {name: int(number) if number.isdigit() else number for name, _, number in pairs}


def _read_object(place: str) -> dict[str, Any]:
    try:
        document = json.loads(read_text(place, option="--json"))
    except ValueError as error:
        raise InvalidRequest(f"--json: {place} can't be read: {error}") from error
    if not isinstance(document, dict):
        raise InvalidRequest("--json: must hold one JSON object")
    return document
