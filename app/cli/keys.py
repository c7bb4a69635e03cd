"""`filmgate keys`: the keys of this gateway's clients, changed in its store directly."""

import json
import time
from collections.abc import Mapping
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.db.money import format_money
from app.errors import InvalidRequest
from app.keys.key import ClientKey, moment_in_days

commands = typer.Typer(help="Make, list, change, rotate and revoke client keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="From `filmgate keys list`.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="May use it, or a family like 'veo*'; repeatable."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="May be used from there, like 10.0.0.0/8; repeatable."),
]
Rpm = Annotated[int | None, typer.Option(help="Requests in any minute.")]
TasksLimit = Annotated[int | None, typer.Option("--tasks", help="Tasks in flight.")]
Total = Annotated[str | None, typer.Option("--budget", metavar="USD", help="For all time.")]
Daily = Annotated[str | None, typer.Option("--budget-daily", metavar="USD", help="For each UTC day.")]
Monthly = Annotated[str | None, typer.Option("--budget-monthly", metavar="USD", help="For each UTC month.")]
ExpiresIn = Annotated[
    float | None, typer.Option("--expires-in", metavar="DAYS", help="Ends by itself after so many days.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="For dialects, like videos_dialect=manual; repeatable."
    ),
]
Note = Annotated[str | None, typer.Option(help="For yourself.")]


@commands.command()
def create(
    name: Annotated[str, typer.Argument(help="What you will know it by.")],
    *,
    project: Annotated[str | None, typer.Option(help="Keys of one project see each other's tasks.")] = None,
    model: Models = None,
    network: Networks = None,
    rpm: Rpm = None,
    tasks: TasksLimit = None,
    budget: Total = None,
    budget_daily: Daily = None,
    budget_monthly: Monthly = None,
    expires_in: ExpiresIn = None,
    option: Options = None,
    note: Note = None,
) -> None:
    """Make a key. It is printed alone on stdout, and never again."""
    fields = {
        "name": name,
        "project": project,
        "models": model,
        "networks": network,
        "rpm": rpm,
        "tasks_limit": tasks,
        "budget_total": budget,
        "budget_daily": budget_daily,
        "budget_monthly": budget_monthly,
        "expires_at": moment_in_days(expires_in),
        "options": _parse_options(option),
        "note": note,
    }

    async def make_key(components: Components) -> str:
        _, raw = await components.keys.create_key(_without_none(fields))
        return raw

    print(with_store(make_key))
    err.print("[dim]Keep it: only its hash stays here.[/]")


@commands.command("list")
def list_keys() -> None:
    """Every key, oldest first."""

    async def print_keys(components: Components) -> None:
        found = plain_table("ID", "NAME", "OWNER", "MADE", "LIMITS", "STATE")
        for key in await components.keys.list():
            state = "[green]active[/]" if key.enabled else "[red]revoked[/]"
            limits = ", ".join(f"{name} {value}" for name, value in _limit_texts(key).items())
            found.add_row(
                key.id, escape(key.name), escape(key.owner), local_time(key.created_at), escape(limits), state
            )
        if found.row_count:
            out.print(found)
        else:
            err.print("No keys yet. `filmgate keys create NAME` makes one.")

    with_store(print_keys)


@commands.command()
def show(key_id: KeyId) -> None:
    """One key: its limits, and how its budgets stand."""

    async def print_key(components: Components) -> None:
        key = await components.keys.get(key_id)
        found = plain_table("WHAT", "VALUE")
        for name, value in _key_details(key).items():
            found.add_row(name, escape(str(value)))
        for line in await components.money.reports.budget_lines(key, now=time.time()):
            text = f"${format_money(line.left)} left: ${format_money(line.spent)} spent, ${format_money(line.reserved)} held"
            found.add_row(f"{line.period} budget", f"${format_money(line.budget)}, {text}")
        out.print(found)

    with_store(print_key)


@commands.command()
def update(
    key_id: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="What you will know it by.")] = None,
    model: Models = None,
    network: Networks = None,
    rpm: Rpm = None,
    tasks: TasksLimit = None,
    budget: Total = None,
    budget_daily: Daily = None,
    budget_monthly: Monthly = None,
    expires_in: ExpiresIn = None,
    option: Options = None,
    note: Note = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="In use or not.")] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Take a limit off: models, networks, rpm, tasks, …; repeatable."),
    ] = None,
) -> None:
    """Change what is given and leave the rest; running gateways notice within five seconds."""
    changes = _without_none(
        {
            "name": name,
            "models": model,
            "networks": network,
            "rpm": rpm,
            "tasks_limit": tasks,
            "budget_total": budget,
            "budget_daily": budget_daily,
            "budget_monthly": budget_monthly,
            "expires_at": moment_in_days(expires_in),
            "options": _parse_options(option),
            "note": note,
            "enabled": enabled,
        }
    )

    async def apply_changes(components: Components) -> None:
        await components.keys.update(key_id, changes | _cleared_fields(clear or []))

    with_store(apply_changes)
    out.print(f"Changed {escape(key_id)}.")


@commands.command()
def rotate(
    key_id: KeyId,
    *,
    overlap: Annotated[float, typer.Option(metavar="HOURS", help="The old secret works so long.")] = 0.0,
) -> None:
    """Give a key a new secret, printed alone on stdout; its limits, tasks and books stay."""

    async def rotate_key(components: Components) -> str:
        return await components.keys.rotate(key_id, overlap_seconds=overlap * 3600)

    print(with_store(rotate_key))
    err.print("[dim]Keep it: only its hash stays here.[/]")


@commands.command()
def revoke(key_id: KeyId) -> None:
    """Take a key out of use; running gateways notice within five seconds."""

    async def revoke_key(components: Components) -> None:
        await components.keys.revoke(key_id)

    with_store(revoke_key)
    out.print(f"Revoked {escape(key_id)}.")


CLEARABLE: Mapping[str, tuple[str, Any]] = {
    "models": ("models", ()),
    "networks": ("networks", ()),
    "rpm": ("rpm", None),
    "tasks": ("tasks_limit", None),
    "budget": ("budget_total", None),
    "budget-daily": ("budget_daily", None),
    "budget-monthly": ("budget_monthly", None),
    "expires-in": ("expires_at", None),
    "options": ("options", {}),
}


def _cleared_fields(names: list[str]) -> dict[str, Any]:
    unknown = [name for name in names if name not in CLEARABLE]
    if unknown:
        raise InvalidRequest(f"--clear: {unknown[0]} is none of {', '.join(CLEARABLE)}")
    return dict(CLEARABLE[name] for name in names)


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _limit_texts(key: ClientKey) -> dict[str, str]:
    """Those that it has, in words."""
    found = {
        "models": ", ".join(key.models),
        "networks": ", ".join(str(network) for network in key.networks),
        "rpm": key.rpm,
        "tasks": key.tasks_limit,
        "budget": _dollar_text(key.budget_total),
        "daily": _dollar_text(key.budget_daily),
        "monthly": _dollar_text(key.budget_monthly),
        "until": local_time(key.expires_at),
    }
    return {name: str(value) for name, value in found.items() if value not in (None, "")}


def _dollar_text(value: Any) -> str | None:
    return None if value is None else f"${format_money(value)}"


def _key_details(key: ClientKey) -> dict[str, str]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "made": local_time(key.created_at),
        "state": "active" if key.enabled else "revoked",
        **_limit_texts(key),
        **{name: str(value) for name, value in key.options.items()},
        **({"old secret until": local_time(key.old_until)} if key.old_until else {}),
        **({"note": key.note} if key.note else {}),
    }


def _parse_options(given: list[str] | None) -> dict[str, Any] | None:
    """``KEY=VALUE``; values are read as JSON where they are JSON."""
    if given is None:
        return None
    found: dict[str, Any] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise InvalidRequest(f"--option: {text} must be like KEY=VALUE")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found
