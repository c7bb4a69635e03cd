"""`filmgate accounts`: the credentials this gateway calls upstreams with, changed in its store directly."""

import json
import os
import sys
import time
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from app.accounts.definition import AccountDraft
from app.accounts.status import WHOLE_ACCOUNT, AccountStatus
from app.cli import account_lists
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.errors import InvalidRequest, UpstreamError
from app.generation import Kind
from app.providers.base import AccountCheck
from app.validation import validate_document

commands = typer.Typer(
    help="Add, look at, test, import and export upstream accounts.",
    no_args_is_help=True,
)
commands.command("import")(account_lists.import_accounts)
commands.command("export")(account_lists.export_accounts)
NAME = Annotated[str, typer.Argument(metavar="NAME", help="Its name or id.")]
COLOURS = {"accepted": "green", "refused": "red", "reachable": "yellow", "silent": "red"}


@commands.command()
def add(
    name: Annotated[str, typer.Argument(help="What you will know it by.")],
    *,
    provider: Annotated[str, typer.Option(help="What it speaks.")] = "openai_compatible",
    base_url: Annotated[str, typer.Option(help="Where it is, like https://host/v1.")] = "",
    model: Annotated[
        list[str] | None, typer.Option(help="PUBLIC=UPSTREAM name, repeatable; none passes every name on.")
    ] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="video, image, text, repeatable; none means all.")
    ] = None,
    slots: Annotated[int, typer.Option(min=0, help="Tasks of one kind at the same time.")] = 1,
    limit: Annotated[list[str] | None, typer.Option(help="KIND=SLOTS where a kind differs.")] = None,
    option: Annotated[list[str] | None, typer.Option(help="KEY=VALUE for the provider; JSON values.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Repeatable; pro is a capability.")] = None,
    weight: Annotated[float, typer.Option(help="Its share beside others.")] = 1.0,
    tier: Annotated[int, typer.Option(help="Lower tiers are used up first.")] = 0,
    rpm: Annotated[int | None, typer.Option(help="Submissions a minute.")] = None,
    quota: Annotated[str | None, typer.Option(help="Like 200/day, 1000 or 50usd/month.")] = None,
    expires: Annotated[str | None, typer.Option(help="When it ends, as ISO 8601; UTC unless said.")] = None,
    proxy: Annotated[str | None, typer.Option(help="http://user:password@host:port.")] = None,
    plan: Annotated[str, typer.Option(help="What you pay for, for yourself.")] = "",
    note: Annotated[str, typer.Option(help="For yourself.")] = "",
    secret: Annotated[
        str | None, typer.Option(help="Its API key; others on this machine may see it.")
    ] = None,
    secret_env: Annotated[str | None, typer.Option(help="The variable that holds its API key.")] = None,
) -> None:
    """Add an account. Without --secret or --secret-env the API key is asked for, or read from a pipe."""
    told = {"provider": provider, "name": name, "base_url": base_url, "slots": slots, "weight": weight}
    told |= {"tier": tier, "rpm": rpm, "proxy": proxy, "plan": plan, "note": note, "expires_at": expires}
    told |= {
        "models": _split_pairs(model),
        "limits": _split_pairs(limit),
        "kinds": _check_kinds(kind or []),
        "tags": tag or [],
    }
    told |= {
        "options": _parse_options(option or []),
        "quota": _parse_quota(quota),
        "secret": _read_secret(secret, secret_env),
    }
    draft = validate_document(AccountDraft, told, whole="account")

    async def store_draft(components: Components) -> None:
        await components.accounts.add(draft)  # says what is wrong with it

    with_store(store_draft)
    out.print(f"Added {escape(name)}. `filmgate accounts test {escape(name)}` asks whether it works.")


@commands.command("list")
def list_accounts() -> None:
    """Every account and whether it may be used now."""
    found = plain_table("NAME", "PROVIDER", "ADDRESS", "MODELS", "SLOTS", "STATE")
    for standing in with_store(_all_accounts):
        account = standing.account
        models = ", ".join(k if k == v else f"{k}={v}" for k, v in account.models.items()) or "any"
        row = (account.name, account.provider, account.base_url, models, str(account.slots))
        found.add_row(*map(escape, row), describe_state(standing))
    if found.row_count:
        out.print(found)
    else:
        err.print("No accounts. `filmgate accounts add NAME --base-url https://host/v1` adds one.")


@commands.command()
def show(name: NAME) -> None:
    """Everything about one account but its secrets."""

    async def find_account(components: Components) -> AccountStatus:
        return await components.accounts.find(name)

    standing = with_store(find_account)
    found = plain_table("", "")
    for field, value in _account_details(standing).items():
        found.add_row(f"[dim]{field}[/]", value if field == "state" else escape(value))
    out.print(found)


@commands.command()
def test(name: NAME) -> None:
    """Ask the upstream something that costs nothing: does it answer, and take the secret? Exit code 1: no."""

    async def check_upstream(components: Components) -> AccountCheck:
        standing = await components.accounts.find(name)
        return await (await components.pool.provider_by_id(standing.account.id)).check_account()

    check = with_store(check_upstream)
    left = f", {check.balance.left:,.2f} {check.balance.unit} left" if check.balance else ""
    out.print(f"[{COLOURS[check.verdict]}]{check.verdict}[/]: {escape(check.text)}{left}")
    if check.verdict in ("refused", "silent"):
        raise typer.Exit(1)


@commands.command()
def balance() -> None:
    """What is left at the vendors, where they tell."""

    async def print_balances(components: Components) -> None:
        found = plain_table("NAME", "PROVIDER", "LEFT")
        for standing in await components.pool.current_statuses():
            account = standing.account
            found.add_row(
                escape(account.name), account.provider, escape(await _balance_text(components, standing))
            )
        out.print(found)

    with_store(print_balances)


@commands.command()
def remove(
    name: NAME,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Also while tasks run on it: they end as failed.")
    ] = False,
) -> None:
    """Forget an account."""

    async def delete_account(components: Components) -> None:
        await components.accounts.remove(name, force=force)

    with_store(delete_account)
    out.print(f"Removed {escape(name)}.")


@commands.command()
def enable(name: NAME) -> None:
    """Put back an account that was disabled or is cooling."""

    async def work(components: Components) -> None:
        await components.accounts.enable(name)

    with_store(work)
    out.print(f"{escape(name)} is in use again.")


@commands.command()
def disable(
    name: NAME, *, reason: Annotated[str, typer.Option(help="For yourself.")] = "by the operator"
) -> None:
    """Send nothing new to an account; what runs there is still watched and fetched."""

    async def work(components: Components) -> None:
        await components.accounts.disable(name, reason=reason)

    with_store(work)
    out.print(f"{escape(name)} is out of use; `filmgate accounts enable` puts it back.")


@commands.command()
def clear(
    name: NAME, *, model: Annotated[str | None, typer.Option(help="Only of this upstream model.")] = None
) -> None:
    """End an account's cooldown: it is asked again at once."""

    async def work(components: Components) -> None:
        await components.accounts.clear_cooldown(name, model=model)

    with_store(work)
    out.print(f"{escape(name)} rests no more.")


def describe_state(standing: AccountStatus) -> str:
    """One word and why, as rich markup."""
    obstacle = standing.blocked_by(WHOLE_ACCOUNT, time.time())
    if obstacle is None:
        return "[green]ready[/]"
    if obstacle.code == "disabled":
        return (
            f"[red]disabled[/]: {escape(standing.problem or standing.disabled_reason or 'by the operator')}"
        )
    until = f" until {local_time(obstacle.until)}" if obstacle.until else ""
    return f"[yellow]{obstacle.code.replace('_', ' ')}[/]{until}: {escape(obstacle.text)}"


async def _all_accounts(components: Components) -> list[AccountStatus]:
    return await components.accounts.list_all()


def _account_details(standing: AccountStatus) -> dict[str, str]:
    [document] = account_lists.export_documents([standing], secrets=False)
    found = {"id": standing.account.id, "state": describe_state(standing), "source": standing.source}
    for name, value in document.items():
        found[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if standing.quota is not None:
        left = standing.quota.left_at(time.time())
        found["quota"] = f"{left:f} of {standing.quota.limit:f} {standing.quota.unit} left"
    did = standing.statistics
    average = f", {did.average_seconds:.0f} s on average" if did.average_seconds is not None else ""
    found["done"] = f"{did.successes} successes, {did.failures} failures{average}"
    for model, cooldown in standing.cooldowns.items():
        if cooldown.is_active(time.time()):
            found[f"rests ({model})"] = f"until {local_time(cooldown.ends_at)}: {cooldown.reason}"
    return found


async def _balance_text(components: Components, standing: AccountStatus) -> str:
    try:
        told = await components.pool.provider_for(standing.account).balance()
    except UpstreamError as error:
        return error.message
    return f"{told.left:,.2f} {told.unit}" if told else "the vendor does not tell"


def _read_secret(given: str | None, variable: str | None) -> str:
    if given is not None:
        return given
    if variable is not None:
        if variable not in os.environ:
            raise InvalidRequest(f"--secret-env: there is no variable {variable} in this environment")
        return os.environ[variable]
    if not sys.stdin.isatty():
        return sys.stdin.readline().strip()
    return str(typer.prompt("API key (empty for none)", default="", hide_input=True, show_default=False))


def _check_kinds(given: list[str]) -> list[str]:
    for kind in given:
        if kind not in get_args(Kind):
            raise InvalidRequest(f"--kind: {kind} is none of {', '.join(get_args(Kind))}")
    return given


def _split_pairs(given: list[str] | None) -> dict[str, str]:
    pairs = [text.partition("=") for text in given or []]
    return {key.strip(): (value or key).strip() for key, _, value in pairs}


def _parse_quota(given: str | None) -> dict[str, str] | None:
    if given is None:
        return None
    amount, _, period = given.lower().replace(" ", "").partition("/")
    unit = "usd" if amount.endswith("usd") else "count"
    return {"limit": amount.removesuffix("usd"), "unit": unit, "period": period or "none"}


def _parse_options(given: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign:
            raise InvalidRequest(f"--option: {text} must be like KEY=VALUE")
        try:
            found[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[key.strip()] = value
    return found
