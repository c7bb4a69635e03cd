"""`filmgate projects`: limits over the keys of a project, payments into it, and who spends."""

import time
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, get_args

import typer
from rich.markup import escape

from app.admin.audit_log import AuditLog
from app.cli.admin import ACTOR
from app.cli.output import err, local_time, out, plain_table
from app.cli.store_access import with_store
from app.components import Components
from app.db.tables import format_money
from app.errors import InvalidRequest
from app.keys.project import Project
from app.keys.projects import ProjectCredit, ProjectRepository
from app.usage.reports import BudgetLine
from app.usage.spend import SpendGroup, SpendLine, SpendSpan, spend_lines
from app.webhooks.signing import new_secret

commands = typer.Typer(
    help="Projects: budgets and limits over several keys, payments into them, and who spends.",
    no_args_is_help=True,
)
DAY_SECONDS = 86_400.0
Named = Annotated[str, typer.Argument(metavar="NAME", help="The name of the project, or its ID.")]
Rpm = Annotated[int | None, typer.Option(help="Requests per minute of all its keys together.")]
TasksLimit = Annotated[
    int | None, typer.Option("--tasks", help="Running and waiting tasks of all its keys at the same time.")
]
Total = Annotated[
    str | None,
    typer.Option(
        "--budget", metavar="USD", help="In total, besides what is paid in; 0: only what is paid in."
    ),
]
Daily = Annotated[str | None, typer.Option("--budget-daily", metavar="USD", help="Per UTC day.")]
Monthly = Annotated[str | None, typer.Option("--budget-monthly", metavar="USD", help="Per UTC month.")]
Note = Annotated[str | None, typer.Option(help="A note for yourself.")]
CLEARABLE = {
    "rpm": "rpm",
    "tasks": "tasks_limit",
    "budget": "budget_total",
    "budget-daily": "budget_daily",
    "budget-monthly": "budget_monthly",
}


@commands.command("create")
def create_project(
    name: Annotated[str, typer.Argument(help="As keys name it: `filmgate keys create … --project NAME`.")],
    *,
    rpm: Rpm = None,
    tasks: TasksLimit = None,
    budget: Total = None,
    budget_daily: Daily = None,
    budget_monthly: Monthly = None,
    note: Note = None,
) -> None:
    """Create a project. Its limits hold for all keys that name it, also for those that exist already."""
    given = _given(rpm, tasks, (budget, budget_daily, budget_monthly), note=note)
    made = _with_projects(lambda projects, _all: projects.create({"name": name, **given}))
    out.print(f"Created {escape(made.id)}.")


@commands.command("list")
def list_projects() -> None:
    """List all projects, by name."""
    table = plain_table("ID", "NAME", "KEYS", "LIMITS", "CREDITED", "SPENT", "STATE")

    async def find(projects: ProjectRepository, components: Components) -> list[tuple[Project, int, Decimal]]:
        counts, spent = await projects.key_counts(), components.money.reports.spent_by
        return [
            (each, counts.get(each.terms.name, 0), await spent(each.id)) for each in await projects.list()
        ]

    for project, count, spent in _with_projects(find):
        limits = ", ".join(f"{name} {value}" for name, value in _limits(project).items())
        state = "[green]active[/]" if project.terms.enabled else "[red]disabled[/]"
        money = f"${format_money(project.credited)}", f"${format_money(spent)}"
        table.add_row(project.id, escape(project.terms.name), str(count), escape(limits), *money, state)
    if table.row_count:
        out.print(table)
    else:
        err.print("No projects yet. `filmgate projects create NAME` creates one.")


@commands.command("show")
def show_project(name: Named) -> None:
    """Show one project: its limits, and what is left of its budgets."""

    async def find(
        projects: ProjectRepository, components: Components
    ) -> tuple[Project, Sequence[BudgetLine]]:
        project = await projects.find(name)
        return project, await components.money.reports.budget_lines(project.limits, now=time.time())

    project, lines = _with_projects(find)
    table = plain_table("WHAT", "VALUE")
    details = {
        "id": project.id,
        "name": project.terms.name,
        "created": local_time(project.created_at),
        "state": "active" if project.terms.enabled else "disabled",
        **_limits(project),
        "credited": f"${format_money(project.credited)}",
        "signed payments": "yes" if project.signs else "no",
        **({"note": project.terms.note} if project.terms.note else {}),
    }
    for what, value in details.items():
        table.add_row(what, escape(str(value)))
    for line in lines:
        text = f"${format_money(line.left)} left: ${format_money(line.spent)} spent, ${format_money(line.reserved)} reserved"
        table.add_row(f"{line.period} budget", f"${format_money(line.budget)}, {text}")
    out.print(table)


@commands.command("update")
def update_project(
    name: Named,
    *,
    rpm: Rpm = None,
    tasks: TasksLimit = None,
    budget: Total = None,
    budget_daily: Daily = None,
    budget_monthly: Monthly = None,
    note: Note = None,
    enabled: Annotated[
        bool | None, typer.Option("--enable/--disable", help="Whether its keys are served.")
    ] = None,
    clear: Annotated[
        list[str] | None,
        typer.Option(metavar="LIMIT", help=f"Remove a limit: {', '.join(CLEARABLE)}; repeatable."),
    ] = None,
) -> None:
    """Change the given fields of a project. Running gateways notice within five seconds."""
    changes = _given(rpm, tasks, (budget, budget_daily, budget_monthly), note=note, enabled=enabled)
    for limit in clear or []:
        if limit not in CLEARABLE:
            raise InvalidRequest(f"--clear: {limit} is none of {', '.join(CLEARABLE)}")
        changes[CLEARABLE[limit]] = None

    async def change(projects: ProjectRepository, _all: Components) -> Project:
        return await projects.update((await projects.find(name)).id, changes)

    out.print(f"Changed {escape(_with_projects(change).terms.name)}.")


@commands.command("delete")
def delete_project(name: Named) -> None:
    """Delete a project that no key names. What it spent stays in the books."""

    async def delete(projects: ProjectRepository, _all: Components) -> None:
        await projects.delete((await projects.find(name)).id)

    _with_projects(delete)
    out.print(f"Deleted {escape(name)}.")


@commands.command("credit")
def credit_project(
    name: Named,
    amount: Annotated[str, typer.Argument(metavar="USD", help="Below zero (after --): take back.")],
    *,
    reference: Annotated[str, typer.Option(help="Your own name for the payment; each counts once.")],
    note: Annotated[str, typer.Option(help="A note, kept with it.")] = "",
) -> None:
    """Pay into a project. The same reference again changes nothing."""
    dollars = _dollars(amount)

    async def pay(projects: ProjectRepository, components: Components) -> tuple[ProjectCredit, bool]:
        project = await projects.find(name)
        paid = await projects.credit(project.id, reference=reference, amount=dollars, by=ACTOR, note=note)
        if paid[1]:
            after = {"amount": format_money(dollars), "reference": reference}
            audit = AuditLog(components.database)
            await audit.record_alone(ACTOR, "project.credited", f"projects/{project.id}", after=after)
        return paid

    made, is_new = _with_projects(pay)
    said = f"Paid in ${format_money(made.amount)}."
    out.print(
        said if is_new else f"Nothing changed: {escape(reference)} was paid in at {local_time(made.at)}."
    )


@commands.command("credits")
def list_credits(name: Named) -> None:
    """List payments into a project, newest first."""

    async def find(projects: ProjectRepository, _all: Components) -> Sequence[ProjectCredit]:
        return await projects.credits((await projects.find(name)).id, limit=1000)

    table = plain_table("AT", "AMOUNT", "REFERENCE", "BY", "NOTE")
    for each in _with_projects(find):
        texts = map(escape, (each.reference, each.by, each.note))
        table.add_row(local_time(each.at), f"${format_money(each.amount)}", *texts)
    if table.row_count:
        out.print(table)
    else:
        err.print("Nothing was paid in yet.")


@commands.command("secret")
def make_secret(name: Named) -> None:
    """Make a new secret for signed payments; it is printed alone on stdout, and the one before ends at once."""
    secret = new_secret()

    async def change(projects: ProjectRepository, _all: Components) -> None:
        await projects.set_credit_secret((await projects.find(name)).id, secret)

    _with_projects(change)
    print(secret)
    err.print(
        "[dim]Give it to your payment system: POST /admin/api/projects/ID/credit takes what it signs.[/]"
    )


@commands.command("spend")
def show_spending(
    *,
    by: Annotated[str, typer.Option(metavar="WHAT", help="user, tag, key or project.")] = "user",
    project: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this project.")] = None,
    days: Annotated[float, typer.Option(min=0.01, max=400, help="So many days back.")] = 30.0,
) -> None:
    """Who spends: by end user, tag, key or project; the dearest first."""
    if by not in get_args(SpendGroup):
        raise InvalidRequest(f"--by: {by} is none of {', '.join(get_args(SpendGroup))}")

    async def find(projects: ProjectRepository, components: Components) -> Sequence[SpendLine]:
        which = (await projects.find(project)).id if project else None
        span = SpendSpan(time.time() - days * DAY_SECONDS, time.time() + 1, which)
        return await spend_lines(components.database, by, span)  # type: ignore[arg-type]

    table = plain_table(by.upper(), "REQUESTS", "FILMS", "COST")
    for line in _with_projects(find):
        name = escape(line.name) if line.name else "[dim](none)[/]"
        table.add_row(name, str(line.requests), str(line.films), f"${format_money(line.cost)}")
    if table.row_count:
        out.print(table)
    else:
        err.print("Nothing was spent in that time.")


def _with_projects(action: Any) -> Any:
    return with_store(
        lambda components: action(
            ProjectRepository(components.database, components.vault, components.keys), components
        )
    )


def _given(
    rpm: int | None, tasks: int | None, budgets: tuple[str | None, str | None, str | None], **more: Any
) -> dict[str, Any]:
    """The fields of ``ProjectTerms`` that were given."""
    total, daily, monthly = budgets
    fields: Mapping[str, Any] = {
        "rpm": rpm,
        "tasks_limit": tasks,
        "budget_total": total,
        "budget_daily": daily,
        "budget_monthly": monthly,
        **more,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _limits(project: Project) -> dict[str, str]:
    terms = project.terms
    limits = {
        "rpm": terms.rpm,
        "tasks": terms.tasks_limit,
        "budget": _money(terms.budget_total),
        "daily": _money(terms.budget_daily),
        "monthly": _money(terms.budget_monthly),
    }
    return {name: str(value) for name, value in limits.items() if value is not None}


def _money(value: Decimal | None) -> str | None:
    return None if value is None else f"${format_money(value)}"


def _dollars(text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidRequest("must be an amount like 25 or 0.11", param="USD") from None
    if not amount.is_finite() or abs(amount) > 1_000_000_000:
        raise InvalidRequest("must be an amount like 25 or 0.11", param="USD")
    return amount
