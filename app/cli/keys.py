"""`filmgate keys`: the keys of clients, changed in the store directly."""

import time
from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any

import typer
from rich.markup import escape

from app.admin.audit_log import AuditLog
from app.cli.admin import ACTOR
from app.cli.arguments import parse_options, read_text, read_variable
from app.cli.output import err, local_time, out, plain_table
from app.cli.statements import print_statement
from app.cli.store_access import with_store
from app.components import Components
from app.db.tables import format_money
from app.errors import InvalidRequest
from app.keys.key import ClientKey, moment_in_days
from app.keys.service import CACHE_SECONDS
from app.secret_rules import is_blank
from app.tasks import key_removal
from app.tasks.key_removal import ForgottenKey

commands = typer.Typer(
    help="Create, list, change, rotate, revoke and forget client keys.", no_args_is_help=True
)

commands.command("statement")(print_statement)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="From `filmgate keys list`.")]
Models = Annotated[
    list[str] | None,
    typer.Option("--model", metavar="NAME", help="An allowed model, or a pattern like 'veo*'; repeatable."),
]
Networks = Annotated[
    list[str] | None,
    typer.Option("--network", metavar="CIDR", help="An allowed source network, like 10.0.0.0/8; repeatable."),
]
Rpm = Annotated[int | None, typer.Option(help="Requests per minute.")]
TasksLimit = Annotated[
    int | None, typer.Option("--tasks", help="Running and waiting tasks at the same time.")
]
Total = Annotated[str | None, typer.Option("--budget", metavar="USD", help="In total.")]
Daily = Annotated[str | None, typer.Option("--budget-daily", metavar="USD", help="Per UTC day.")]
Monthly = Annotated[str | None, typer.Option("--budget-monthly", metavar="USD", help="Per UTC month.")]
ExpiresIn = Annotated[
    float | None, typer.Option("--expires-in", metavar="DAYS", help="Expires after so many days.")
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option", metavar="KEY=VALUE", help="For the API dialects, like videos_dialect=manual; repeatable."
    ),
]
Note = Annotated[str | None, typer.Option(help="A note for yourself.")]
Priority = Annotated[
    int | None, typer.Option(help="Of its tasks: -1 later, 1 sooner than others of the key.")
]
MostPriority = Annotated[int | None, typer.Option(help="That a request may ask for: -1, 0 or 1.")]
KeepPrompts = Annotated[
    bool | None,
    typer.Option(
        "--keep-prompts/--no-prompts", help="Whether prompts and inputs stay after their task has ended."
    ),
]


@commands.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="The name of the key.")],
    *,
    project: Annotated[
        str | None, typer.Option(help="Keys of the same project see each other's tasks.")
    ] = None,
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
    keep_prompts: KeepPrompts = None,
    secret_env: Annotated[
        str | None,
        typer.Option(metavar="VARIABLE", help="The variable that holds a secret which clients have already."),
    ] = None,
    secret_stdin: Annotated[
        bool, typer.Option("--secret-stdin", help="Read that secret from stdin.")
    ] = False,
) -> None:
    """Create a key. A new secret is printed once, alone on stdout; one that was brought along is not printed."""
    given = _given_secret(secret_env, from_stdin=secret_stdin)
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
        "options": None if option is None else parse_options(option),
        "note": note,
        "keep_prompts": keep_prompts,
    }
    key, secret = with_store(
        lambda components: components.keys.create_key(_without_none(fields), secret=given)
    )
    if given:
        out.print(f"Created {escape(key.id)} with the secret that was given.")
        return
    print(secret)
    err.print("[dim]Save it now: the gateway keeps only its hash.[/]")


@commands.command("list")
def list_keys() -> None:
    """List all keys, oldest first."""
    table = plain_table("ID", "NAME", "OWNER", "CREATED", "LIMITS", "SPENT", "STATE")

    async def find_rows(components: Components) -> list[tuple[ClientKey, Decimal, str]]:
        now = time.time()
        found = []
        for key in await components.keys.list():
            lines = await components.money.reports.budget_lines(key, now=now)
            over = [line.period for line in lines if line.left <= 0]
            found.append(
                (key, await components.money.reports.spent_by(key.id), _key_state(key, over, now=now))
            )
        return found

    for key, spent, state in with_store(find_rows):
        limits = ", ".join(f"{name} {value}" for name, value in _limit_texts(key).items())
        named = (key.id, escape(key.name), escape(key.owner), local_time(key.created_at), escape(limits))
        table.add_row(*named, f"${format_money(spent)}", state)
    if table.row_count:
        out.print(table)
    else:
        err.print("No keys yet. `filmgate keys create NAME` creates one.")


def _key_state(key: ClientKey, over: list[str], *, now: float) -> str:
    """Whether its requests are served, in a word; ``over`` are the budgets that are used up."""
    if not key.enabled:
        return "[red]disabled[/]"
    if key.expires_at is not None and key.expires_at <= now:
        return "[red]expired[/]"
    return f"[yellow]over its {over[0]} budget[/]" if over else "[green]active[/]"


@commands.command("show")
def show_key(key_id: KeyId) -> None:
    """Show one key: its limits, and what is left of its budgets."""

    async def print_key(components: Components) -> None:
        key = await components.keys.get(key_id)
        table = plain_table("WHAT", "VALUE")
        for name, value in _key_details(key).items():
            table.add_row(name, escape(str(value)))
        for line in await components.money.reports.budget_lines(key, now=time.time()):
            text = f"${format_money(line.left)} left: ${format_money(line.spent)} spent, ${format_money(line.reserved)} reserved"
            table.add_row(f"{line.period} budget", f"${format_money(line.budget)}, {text}")
        out.print(table)

    with_store(print_key)


@commands.command("update")
def update_key(
    key_id: KeyId,
    *,
    name: Annotated[str | None, typer.Option(help="The new name.")] = None,
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
    keep_prompts: KeepPrompts = None,
    priority: Priority = None,
    most_priority: MostPriority = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Enable or disable the key.")
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help="Remove a limit: models, networks, rpm, tasks, …; repeatable."),
    ] = None,
) -> None:
    """Change the given fields of a key. Running gateways notice within five seconds."""
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
            "options": None if option is None else parse_options(option),
            "note": note,
            "keep_prompts": keep_prompts,
            "priority": priority,
            "most_priority": most_priority,
            "enabled": enabled,
        }
    )
    changes |= _cleared_fields(clear or [])
    with_store(lambda components: components.keys.update(key_id, changes))
    out.print(f"Changed {escape(key_id)}.")


@commands.command("rotate")
def rotate_key(
    key_id: KeyId,
    *,
    overlap: Annotated[
        float, typer.Option(metavar="HOURS", help="How long the old secret stays valid.")
    ] = 0.0,
) -> None:
    """Replace the secret of a key; it is printed alone on stdout. Limits, tasks and spending are kept."""
    print(with_store(lambda components: components.keys.rotate(key_id, overlap_seconds=overlap * 3600)))
    err.print("[dim]Save it now: the gateway keeps only its hash.[/]")


@commands.command("revoke")
def revoke_key(key_id: KeyId) -> None:
    """Disable a key: its programs are refused within five seconds, its films are still made. `update --enable` ends that."""
    with_store(lambda components: components.keys.revoke(key_id))
    out.print(f"Disabled {escape(key_id)}.")


@commands.command("forget")
def forget_key(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name of the key, or its ID.")],
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it nothing is changed.")] = False,
) -> None:
    """Delete a key with its tasks, films, inputs, prompts and webhooks. Only amounts stay in the books."""

    async def forget(components: Components) -> ForgottenKey | None:
        key = await _find_key(components, name)
        if not yes:
            err.print(escape(FORGET_WARNING.format(key.name, key.id)), soft_wrap=True)
            return None
        wait = 0.0 if components.database.is_postgres else CACHE_SECONDS + 1
        done = await key_removal.forget_key(
            components.database, components.store, keys=components.keys, key_id=key.id, wait_seconds=wait
        )
        audit = AuditLog(components.database)
        await audit.record_alone(ACTOR, "key.forgotten", f"keys/{key.id}", after=asdict(done))
        return done

    done = with_store(forget)
    if done is None:
        raise typer.Exit(1)
    out.print(
        f"Forgotten: {done.tasks} tasks, {done.webhook_endpoints} webhook endpoints, {done.characters} characters."
    )
    if done.shared:
        err.print("Other keys of its project share its webhook endpoints and characters: these stay.")


async def _find_key(components: Components, name: str) -> ClientKey:
    """By its name or id. Raises ``NotFound``, and ``InvalidRequest`` for a name that several have."""
    found = [key for key in await components.keys.list() if key.name == name]
    if len(found) > 1:
        ids = ", ".join(key.id for key in found)
        raise InvalidRequest(f"There are {len(found)} keys of this name: give the ID ({ids}).")
    return found[0] if found else await components.keys.get(name)


FORGET_WARNING = """This deletes the key {} ({}), its tasks, films, inputs, prompts and webhooks, for good.
The ledger and the usage reports keep their amounts. Run it again with --yes to do it."""
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


def _given_secret(variable: str | None, *, from_stdin: bool) -> str:
    """The secret that clients have already; empty when a new one is to be made. Raises ``InvalidRequest``."""
    if variable and from_stdin:
        raise InvalidRequest("--secret-env and --secret-stdin: give one of them")
    if variable:
        return read_variable(variable, option="--secret-env")
    if not from_stdin:
        return ""
    text = read_text("-").strip()
    if is_blank(text):
        raise InvalidRequest("--secret-stdin: there is nothing on stdin")
    return text


def _cleared_fields(names: list[str]) -> dict[str, Any]:
    unknown = [name for name in names if name not in CLEARABLE]
    if unknown:
        raise InvalidRequest(f"--clear: {unknown[0]} is none of {', '.join(CLEARABLE)}")
    return dict(CLEARABLE[name] for name in names)


def _without_none(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _limit_texts(key: ClientKey) -> dict[str, str]:
    """The limits that are set, as text."""
    limits = {
        "models": ", ".join(key.models),
        "networks": ", ".join(str(network) for network in key.networks),
        "rpm": key.rpm,
        "tasks": key.tasks_limit,
        "budget": _dollar_text(key.budget_total),
        "daily": _dollar_text(key.budget_daily),
        "monthly": _dollar_text(key.budget_monthly),
        "until": local_time(key.expires_at),
    }
    return {name: str(value) for name, value in limits.items() if value not in (None, "")}


def _dollar_text(value: Any) -> str | None:
    return None if value is None else f"${format_money(value)}"


def _key_details(key: ClientKey) -> dict[str, str]:
    return {
        "id": key.id,
        "name": key.name,
        "owner": key.owner,
        "created": local_time(key.created_at),
        "state": "active" if key.enabled else "disabled",
        **_limit_texts(key),
        **({} if key.keep_prompts else {"prompts": "removed once their task has ended"}),
        **{name: str(value) for name, value in key.options.items()},
        **({"old secret until": local_time(key.old_until)} if key.old_until else {}),
        **({"note": key.note} if key.note else {}),
    }
