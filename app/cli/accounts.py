"""`filmgate accounts`: the credentials that this gateway uses at upstreams, changed in its store directly."""

import json
import sys
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from app.accounts.bulk_import import ImportResult, apply_import, plan_import
from app.accounts.definition import AccountDraft
from app.accounts.formats import as_csv, as_json, export_documents, read_rows
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus
from app.cli.arguments import parse_options, read_text, read_variable
from app.cli.output import err, local_time, out, plain_table
from app.cli.pauses import pause_account, resume_account
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest, UpstreamError
from app.generation import Kind
from app.providers.base import AccountCheck
from app.providers.registry import DEFAULT_PROVIDER
from app.validation import validate_document

commands = typer.Typer(
    help="Add, list, test, pause, import and export upstream accounts.",
    no_args_is_help=True,
)
commands.command("pause")(pause_account)
commands.command("resume")(resume_account)
AccountName = Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")]
CHECK_COLOURS = {"accepted": "green", "refused": "red", "reachable": "yellow", "silent": "red"}
IMPORT_COLOURS = {"would_add": "green", "would_update": "green", "added": "green", "updated": "green"}


class ListFormat(StrEnum):
    """The format of an account list."""

    JSON = "json"
    CSV = "csv"
    LINES = "lines"


FIT_HELP = "exact, nearest or at_least: what may be made where its models lack the asked"

ModelPairs = Annotated[
    list[str] | None,
    typer.Option(help="PUBLIC=UPSTREAM name, repeatable; without any, names are passed on unchanged."),
]
Secret = Annotated[str | None, typer.Option(help="Its API key; other users of this machine may see it.")]


@commands.command("add")
def add_account(
    name: Annotated[str, typer.Argument(help="The name of the account.")],
    *,
    provider: Annotated[str, typer.Option(help="See `filmgate providers`.")] = DEFAULT_PROVIDER,
    base_url: Annotated[str, typer.Option(help="Address of the upstream, like https://host/v1.")] = "",
    model: ModelPairs = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="video, image, text, repeatable; without any, all kinds.")
    ] = None,
    slots: Annotated[int, typer.Option(min=0, help="Tasks of one kind at the same time.")] = 1,
    limit: Annotated[
        list[str] | None, typer.Option(help="KIND=SLOTS for a kind with another limit; repeatable.")
    ] = None,
    option: Annotated[
        list[str] | None,
        typer.Option(help="KEY=VALUE for the provider; JSON values; @FILE: a TOML file; repeatable."),
    ] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Repeatable; pro is a capability.")] = None,
    weight: Annotated[float, typer.Option(help="Its share of the tasks beside other accounts.")] = 1.0,
    tier: Annotated[int, typer.Option(help="Lower tiers are used first.")] = 0,
    lengths: Annotated[str, typer.Option(help=f"{FIT_HELP} lengths.")] = "exact",
    sizes: Annotated[str, typer.Option(help=f"{FIT_HELP} sizes.")] = "exact",
    cost_factor: Annotated[float, typer.Option(help="What its vendor charges for a list price of 1.")] = 1.0,
    rpm: Annotated[int | None, typer.Option(help="Submissions per minute.")] = None,
    quota: Annotated[str | None, typer.Option(help="Like 200/day, 1000 or 50usd/month.")] = None,
    expires: Annotated[
        str | None, typer.Option(help="When the account expires, as ISO 8601, in UTC by default.")
    ] = None,
    proxy: Annotated[str | None, typer.Option(help="http://user:password@host:port.")] = None,
    plan: Annotated[str, typer.Option(help="The plan that you pay for, as a note.")] = "",
    note: Annotated[str, typer.Option(help="A note for yourself.")] = "",
    secret: Secret = None,
    secret_env: Annotated[str | None, typer.Option(help="The variable that holds its API key.")] = None,
) -> None:
    """Add an account. Without --secret or --secret-env the API key is asked for, or read from a pipe."""
    values = {"provider": provider, "name": name, "base_url": base_url, "slots": slots, "weight": weight}
    values |= {"tier": tier, "rpm": rpm, "proxy": proxy, "plan": plan, "note": note, "expires_at": expires}
    values |= {"lengths": lengths, "sizes": sizes, "cost_factor": cost_factor}
    values |= {
        "models": _split_pairs(model),
        "limits": _split_pairs(limit),
        "kinds": _check_kinds(kind or []),
        "tags": tag or [],
        "options": parse_options(option or []),
        "quota": _parse_quota(quota),
        "secret": _read_secret(secret, secret_env),
    }
    draft = validate_document(AccountDraft, values, whole="account")
    with_store(lambda components: components.accounts.add(draft))
    out.print(f"Added {escape(name)}. `filmgate accounts test {escape(name)}` tests it.")


@commands.command("list")
def list_accounts() -> None:
    """List all accounts and whether they can be used now."""
    table = plain_table("NAME", "PROVIDER", "ADDRESS", "MODELS", "SLOTS", "STATE")
    for status in with_store(lambda components: components.accounts.list_all()):
        account = status.account
        models = ", ".join(k if k == v else f"{k}={v}" for k, v in account.models.items()) or "any"
        row = (account.name, account.provider, account.base_url, models, str(account.slots))
        table.add_row(*map(escape, row), describe_state(status))
    if table.row_count:
        out.print(table)
    else:
        err.print("No accounts. `filmgate accounts add NAME --base-url https://host/v1` adds one.")


@commands.command("show")
def show_account(name: AccountName) -> None:
    """Show everything about one account except its secrets."""
    status = with_store(lambda components: components.accounts.find(name))
    table = plain_table("", "")
    for field, value in _account_details(status).items():
        table.add_row(f"[dim]{field}[/]", value if field == "state" else escape(value))
    out.print(table)


@commands.command("test")
def test_account(name: AccountName) -> None:
    """Send a free request: does the upstream answer, and does it accept the secret? Exit code 1 if not."""

    async def check_upstream(components: Components) -> AccountCheck:
        status = await components.accounts.find(name)
        check = await (await components.pool.provider_by_id(status.account.id)).check_account()
        await components.accounts.record_test(status.account.id, check)
        return check

    check = with_store(check_upstream)
    left = f", {check.balance.left:,.2f} {check.balance.unit} left" if check.balance else ""
    out.print(f"[{CHECK_COLOURS[check.verdict]}]{check.verdict}[/]: {escape(check.text)}{left}")
    if check.verdict in ("refused", "silent"):
        raise typer.Exit(1)


@commands.command("balance")
def show_balances() -> None:
    """Show the remaining balance of each account, where the vendor reports it."""

    async def print_balances(components: Components) -> None:
        table = plain_table("NAME", "PROVIDER", "LEFT")
        for status in await components.pool.current_statuses():
            account = status.account
            balance = await _balance_text(components, status)
            table.add_row(escape(account.name), account.provider, escape(balance))
        out.print(table)

    with_store(print_balances)


@commands.command("remove")
def remove_account(
    name: AccountName,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even while tasks run on it: they end as failed.")
    ] = False,
) -> None:
    """Remove an account."""
    with_store(lambda components: components.accounts.remove(name, force=force))
    out.print(f"Removed {escape(name)}.")


@commands.command("enable")
def enable_account(name: AccountName) -> None:
    """Enable a disabled account, and clear its cooldowns."""
    with_store(lambda components: components.accounts.enable(name))
    out.print(f"{escape(name)} is enabled.")


@commands.command("disable")
def disable_account(
    name: AccountName,
    *,
    reason: Annotated[str, typer.Option(help="A note for yourself.")] = "by the operator",
) -> None:
    """Send no new tasks to an account. Its running tasks are finished."""
    with_store(lambda components: components.accounts.disable(name, reason=reason))
    out.print(f"{escape(name)} is disabled; `filmgate accounts enable` enables it again.")


@commands.command("clear")
def clear_cooldown(
    name: AccountName,
    *,
    model: Annotated[str | None, typer.Option(help="Only the one of this upstream model.")] = None,
) -> None:
    """Clear the cooldown of an account, so that it is used again at once."""
    with_store(lambda components: components.accounts.clear_cooldown(name, model=model))
    out.print(f"The cooldown of {escape(name)} has been cleared.")


@commands.command("import")
def import_accounts(
    place: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON, CSV or one API key per line; - is stdin.")
    ],
    *,
    form: Annotated[ListFormat | None, typer.Option(help="Detected from the content by default.")] = None,
    provider: Annotated[str | None, typer.Option(help="For rows without a provider.")] = None,
    base_url: Annotated[str | None, typer.Option(help="For rows without an address.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would happen.")] = False,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Import the valid rows although others are invalid.")
    ] = False,
    update: Annotated[bool, typer.Option("--update", help="Change accounts that already exist.")] = False,
) -> None:
    """Import accounts from a list. If one row is invalid nothing is imported, unless --skip-bad is given."""
    defaults = {"provider": provider or DEFAULT_PROVIDER} | ({"base_url": base_url} if base_url else {})
    rows = read_rows(read_text(place), form=form.value if form else None, defaults=defaults)

    async def import_rows(components: Components) -> list[ImportResult]:
        planned = await plan_import(components.pool, rows, update=update)
        return planned if dry_run else await apply_import(components.pool, planned, skip_bad=skip_bad)

    results = with_store(import_rows)
    table = plain_table("ROW", "NAME", "RESULT", "WHY")
    for each in results:
        colour = IMPORT_COLOURS.get(each.outcome, "red")
        field = f"{each.param}: " if each.param and not each.text.startswith(each.param) else ""
        result = f"[{colour}]{each.outcome.replace('_', ' ')}[/]"
        table.add_row(str(each.row), escape(each.name), result, escape(field + each.text))
    out.print(table)
    bad = [each for each in results if each.outcome not in IMPORT_COLOURS and each.outcome != "left_out"]
    if bad:
        hint = "" if skip_bad or dry_run else " Nothing was imported; --skip-bad imports the other rows."
        err.print(f"[red]{len(bad)} of {len(results)} rows are invalid.[/]{hint}")
    if bad and not skip_bad:
        raise typer.Exit(1)


@commands.command("export")
def export_accounts(
    *,
    form: Annotated[ListFormat, typer.Option(help="json or csv.")] = ListFormat.JSON,
    with_secrets: Annotated[
        bool, typer.Option("--with-secrets", help="Include API keys in clear text.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
) -> None:
    """Print all accounts as a list that `import` reads."""
    if form is ListFormat.LINES:
        raise InvalidRequest("--form: json or csv")
    if with_secrets and not yes:
        _confirm_secrets()

    async def collect_documents(components: Components) -> list[dict[str, Any]]:
        statuses = await components.accounts.list_all()
        kept = [each for each in statuses if not components.pool.is_embedded(each.account.id)]
        return export_documents(kept, secrets=with_secrets)

    documents = with_store(collect_documents)
    print(as_csv(documents) if form is ListFormat.CSV else as_json(documents), end="")


def describe_state(status: AccountStatus) -> str:
    """The state and its reason, as rich markup."""
    now = time.time()
    blocked = status.blocked_by(WHOLE_ACCOUNT, now)
    if blocked is None:
        return "[green]ready[/]" + "".join(_resting_models(status, now))
    if blocked.code == "disabled":
        text = escape(status.problem or status.disabled_reason or "by the operator")
        return f"[red]disabled[/]: {text}{_suspension_text(status)}"
    if blocked.code == "expired":
        return f"[yellow]expired[/] since {local_time(status.account.expires_at or now)}"
    until = f" until {local_time(blocked.until)}" if blocked.until else ""
    return f"[yellow]{blocked.code.replace('_', ' ')}[/]{until}: {escape(blocked.text)}"


def _resting_models(status: AccountStatus, now: float) -> Iterator[str]:
    """The models that rest while the account does not."""
    for model, cooldown in sorted(status.active_cooldowns(now).items()):
        until = local_time(cooldown.ends_at)
        yield f", but [yellow]{escape(model)} rests[/] until {until}: {escape(cooldown.reason)}"


def _suspension_text(status: AccountStatus) -> str:
    """Since when a refusal has disabled it, and what follows."""
    found = status.suspension
    if found is None or found.by == "operator":
        return ""
    again = f", looked at again at {local_time(found.next_look_at)}" if found.next_look_at else ""
    since = f" since {local_time(found.since)}{again}. "
    return since + "Rotate its secret, or `filmgate accounts enable` once it is mended."


def _account_details(status: AccountStatus) -> dict[str, str]:
    [document] = export_documents([status], secrets=False)
    details = {"id": status.account.id, "state": describe_state(status), "source": status.source}
    for name, value in document.items():
        details[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if status.quota is not None:
        left = status.quota.left_at(time.time())
        details["quota"] = f"{left:f} of {status.quota.limit:f} {status.quota.unit} left"
    totals = status.statistics
    average = f", {totals.average_seconds:.0f} s on average" if totals.average_seconds is not None else ""
    details["tasks"] = f"{totals.successes} succeeded, {totals.failures} failed{average}"
    for model, cooldown in status.cooldowns.items():
        if cooldown.is_active(time.time()):
            details[f"cooldown ({model})"] = f"until {local_time(cooldown.ends_at)}: {cooldown.reason}"
    return details


async def _balance_text(components: Components, status: AccountStatus) -> str:
    try:
        balance = await components.pool.provider_for(status.account).balance()
    except UpstreamError as error:
        return error.message
    return f"{balance.left:,.2f} {balance.unit}" if balance else "not reported by the vendor"


def _read_secret(given: str | None, variable: str | None) -> str:
    if given is not None:
        return given
    if variable is not None:
        return read_variable(variable, option="--secret-env")
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("API key (empty for none)", default="", hide_input=True, show_default=False))


def _confirm_secrets() -> None:
    if not sys.stdin.isatty():
        raise InvalidRequest(
            "--with-secrets: add --yes, because there is no terminal to ask for confirmation"
        )
    typer.confirm("Print every API key in clear text?", abort=True, err=True)


def _check_kinds(kinds: list[str]) -> list[str]:
    for kind in kinds:
        if kind not in get_args(Kind):
            raise InvalidRequest(f"--kind: {kind} is none of {', '.join(get_args(Kind))}")
    return kinds


def _split_pairs(texts: list[str] | None) -> dict[str, str]:
    """``NAME=VALUE`` texts; a name alone stands for both."""
    pairs = [text.partition("=") for text in texts or []]
    return {key.strip(): (value or key).strip() for key, _, value in pairs}


def _parse_quota(text: str | None) -> dict[str, str] | None:
    """``200/day``, ``1000`` or ``50usd/month``."""
    if text is None:
        return None
    amount, _, period = text.lower().replace(" ", "").partition("/")
    unit = "usd" if amount.endswith("usd") else "count"
    return {"limit": amount.removesuffix("usd"), "unit": unit, "period": period or "none"}
