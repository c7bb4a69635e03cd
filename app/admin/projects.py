"""`/admin/api/projects`: limits over the keys of a project, payments into it, and spending by end user and tag.

A payment comes from an admin, or from a payment system without a session: then the body is signed with the project's secret,
as our own webhooks are (https://www.standardwebhooks.com). A signature older or newer than five minutes is refused, and a
reference counts once, so a payment that is sent again changes nothing.
"""

import time
from decimal import Decimal
from typing import Annotated, Any, get_type_hints

from fastapi import APIRouter, Query, Request, Response
from fastapi.routing import APIRoute
from pydantic import Field, create_model
from standardwebhooks import Webhook, WebhookVerificationError

from app.admin.access import (
    AdminActor,
    AdminRequest,
    AdminRoute,
    RouteHandler,
    check_small,
    check_text,
    panel_of,
)
from app.admin.bodies import ListAnswer, PanelAnswer, PanelBody
from app.admin.panel import PanelServices
from app.admin.rights import Right
from app.admin.task_object import plain_amount
from app.errors import InvalidRequest, NotFound, NotSignedIn
from app.keys.project import Project, ProjectTerms
from app.keys.projects import MOST_CREDIT, ProjectCredit, ProjectRepository
from app.usage.ledger import period_label, period_names, read_spending
from app.usage.reports import read_moment
from app.usage.spend import SpendGroup, SpendSpan, spend_lines
from app.webhooks.signing import new_secret

SIGNATURE = "webhook-signature"
DAY_SECONDS = 86_400.0
DEFAULT_DAYS = 30
BUDGETS = ("total", "daily", "monthly")
Credit = Annotated[Decimal, Field(ge=-MOST_CREDIT, le=MOST_CREDIT, decimal_places=9, allow_inf_nan=False)]
Reference = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[\x21-\x7e]+$")]


class CreditRoute(AdminRoute):
    """A route that a signed body opens too."""

    def get_route_handler(self) -> RouteHandler:
        by_admin, signed = super().get_route_handler(), APIRoute.get_route_handler(self)

        async def handle_either(request: Request) -> Response:
            if SIGNATURE not in request.headers:
                return await by_admin(request)
            check_text(request)
            check_small(request)
            request.state.actor = await _signing_actor(request)
            return await signed(request)

        return handle_either


router = APIRouter(route_class=AdminRoute)
credit_router = APIRouter(route_class=CreditRoute)


class ProjectBudget(PanelAnswer):
    """US dollars; null is without a limit. What was paid in is part of ``total``."""

    total: str | None
    daily: str | None
    monthly: str | None


class ProjectSpending(ProjectBudget):
    reserved: str | None


def _types(*, optional: bool) -> dict[str, Any]:
    types = get_type_hints(ProjectTerms, include_extras=True)
    if optional:
        return {name: (types[name] | None, None) for name in ProjectTerms.model_fields}
    return {name: (types[name], ...) for name in ProjectTerms.model_fields if not name.startswith("budget_")}


_TermsBody: Any = create_model("ProjectTermsBody", __base__=PanelBody, **_types(optional=True))
_TermsObject: Any = create_model("ProjectTermsObject", __base__=PanelAnswer, **_types(optional=False))


class ProjectBody(_TermsBody):
    """Only types are checked here; ``ProjectTerms`` checks the rest."""

    def as_terms(self) -> dict[str, Any]:
        """The fields that were sent; null means the default."""
        fields = ProjectTerms.model_fields
        return {
            name: fields[name].get_default() if value is None and not fields[name].is_required() else value
            for name, value in self.given_fields().items()
        }


class ProjectObject(_TermsObject):
    """``budget_total`` is what the operator set, ``credited`` what was paid in; ``budget.total`` both. ``keys``: how many keys
    name it; ``signs``: whether it has a secret for signed payments."""

    id: str
    budget_total: str | None
    credited: str | None
    budget: ProjectBudget
    spent: ProjectSpending
    keys: int
    signs: bool
    created_at: float


class CreditBody(PanelBody):
    """`reference` is the payer's own name for the payment; each counts once."""

    amount: Credit
    reference: Reference
    note: str = Field(default="", max_length=2000)


class CreditObject(PanelAnswer):
    """``repeated``: the reference had been paid before, so that nothing changed."""

    project: str
    reference: str
    amount: str | None
    at: float
    by: str
    note: str
    repeated: bool = False


class SecretObject(PanelAnswer):
    """Returned once."""

    secret: str


class SpendObject(PanelAnswer):
    """``name`` is null for what names no user or has no tag."""

    name: str | None
    requests: int
    films: int
    cost: str | None


@router.get("/projects", summary="List projects")
async def list_projects(request: AdminRequest) -> ListAnswer[ProjectObject]:
    """By name."""
    found = await _projects(request.panel).list()
    return ListAnswer(data=[await _project_object(request.panel, each) for each in found])


@router.post("/projects", status_code=201, summary="Create a project")
async def create_project(body: ProjectBody, request: AdminRequest) -> ProjectObject:
    """Its limits hold for all keys whose `project` is its name, also for those that exist already."""
    made = await _projects(request.panel).create(body.as_terms())
    await request.record_change("project.made", f"projects/{made.id}", after=_settable(made))
    return await _project_object(request.panel, made)


@router.get("/projects/{project_id}", summary="Show a project")
async def get_project(project_id: str, request: AdminRequest) -> ProjectObject:
    return await _project_object(request.panel, await _projects(request.panel).get(project_id))


@router.patch("/projects/{project_id}", summary="Change a project")
async def change_project(project_id: str, body: ProjectBody, request: AdminRequest) -> ProjectObject:
    """Changes the fields that are sent; of the role finance, only the budgets."""
    given = body.as_terms()
    if any(not name.startswith("budget_") for name in given):
        request.actor.require(Right.OPERATE)
    before = await _projects(request.panel).get(project_id)
    after = await _projects(request.panel).update(project_id, given)
    await request.record_change(
        "project.updated", f"projects/{project_id}", before=_settable(before), after=_settable(after)
    )
    return await _project_object(request.panel, after)


@router.delete("/projects/{project_id}", status_code=204, summary="Delete a project")
async def delete_project(project_id: str, request: AdminRequest) -> Response:
    """400 while keys name it. What it spent stays in the books."""
    before = await _projects(request.panel).get(project_id)
    await _projects(request.panel).delete(project_id)
    await request.record_change("project.deleted", f"projects/{project_id}", before=_settable(before))
    return Response(status_code=204)


@router.post("/projects/{project_id}/secret", summary="Make a new secret for signed payments")
async def make_credit_secret(project_id: str, request: AdminRequest) -> SecretObject:
    """It is returned only here, and the one before ends at once."""
    secret = new_secret()
    await _projects(request.panel).set_credit_secret(project_id, secret)
    await request.record_change("project.secret_made", f"projects/{project_id}", after={"signs": True})
    return SecretObject(secret=secret)


@credit_router.post("/projects/{project_id}/credit", summary="Pay into a project")
async def credit_project(project_id: str, body: CreditBody, request: AdminRequest) -> CreditObject:
    """Counts once for each `reference`; the same reference with another amount is refused with 409. Without a session the
    body must be signed with the project's secret as our webhooks are (`webhook-id`, `webhook-timestamp`,
    `webhook-signature`)."""
    made, is_new = await _projects(request.panel).credit(
        project_id, reference=body.reference, amount=body.amount, by=request.actor.name, note=body.note
    )
    if is_new:
        after = {"amount": plain_amount(made.amount), "reference": made.reference}
        await request.record_change("project.credited", f"projects/{project_id}", after=after)
    return _credit_object(made, repeated=not is_new)


@router.get("/projects/{project_id}/credits", summary="List payments into a project")
async def list_credits(
    project_id: str,
    request: AdminRequest,
    *,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    before: Annotated[float | None, Query(ge=0, le=1e11, allow_inf_nan=False)] = None,
) -> ListAnswer[CreditObject]:
    """Newest first; `before` is a moment in UTC seconds."""
    await _projects(request.panel).get(project_id)
    found = await _projects(request.panel).credits(project_id, limit=limit, before=before)
    return ListAnswer(data=[_credit_object(each) for each in found])


@router.get("/spend", summary="Spending by end user, tag, key or project")
async def list_spending(
    request: AdminRequest,
    *,
    by: SpendGroup = "user",
    since: Annotated[str | None, Query(alias="from", max_length=40)] = None,
    until: Annotated[str | None, Query(alias="to", max_length=40)] = None,
    project: Annotated[str | None, Query(max_length=16)] = None,
    key: Annotated[str | None, Query(max_length=16)] = None,
) -> ListAnswer[SpendObject]:
    """The dearest first, at most a thousand; by default of the last thirty days, and as far back as requests are kept. `from`
    and `to` are UTC days (`to` is included) or seconds. The user is the `safety_identifier` or `user` of the request, tags
    come in `x-filmgate-tags`."""
    end = read_moment(until, param="to", end=True) if until else time.time()
    begin = read_moment(since, param="from") if since else end - DEFAULT_DAYS * DAY_SECONDS
    if begin >= end:
        raise InvalidRequest("from must lie before to", param="from")
    span = SpendSpan(begin, end, project or None, key or None)
    lines = await spend_lines(request.panel.database, by, span)
    return ListAnswer(
        data=[
            SpendObject(
                name=line.name, requests=line.requests, films=line.films, cost=plain_amount(line.cost)
            )
            for line in lines
        ]
    )


async def _signing_actor(request: Request) -> AdminActor:
    """Who knows the project's secret. Raises ``NotSignedIn`` without saying what was wrong with a signature."""
    project_id = str(request.path_params["project_id"])
    refused = NotSignedIn(
        "The signature does not match, or its time is more than five minutes from now: sign the body as it is sent with the "
        "project's secret, as the Standard Webhooks say."
    )
    try:
        secret = await _projects(panel_of(request)).credit_secret(project_id)
    except NotFound as error:
        raise refused from error
    if secret is None:
        raise refused
    try:
        Webhook(secret).verify(await request.body(), dict(request.headers))
    except WebhookVerificationError as error:
        raise refused from error
    except ValueError as error:  # verified, but no JSON
        raise InvalidRequest("The body must be JSON.") from error
    return AdminActor(f"signed:{project_id}")


def _projects(panel: PanelServices) -> ProjectRepository:
    return ProjectRepository(panel.database, panel.vault, panel.gateway.keys)


def _settable(project: Project) -> dict[str, Any]:
    budgets = {f"budget_{name}": plain_amount(getattr(project.terms, f"budget_{name}")) for name in BUDGETS}
    return project.terms.model_dump() | budgets


async def _project_object(panel: PanelServices, project: Project) -> ProjectObject:
    limits, now = project.limits, time.time()
    async with panel.database.read() as connection:
        sums = await read_spending(connection, project.id, period_names(now))
    spent = {period_label(period): plain_amount(each[1]) for period, each in sums.items()}
    reserved = {period_label(period): each[0] for period, each in sums.items()}
    count = (await _projects(panel).key_counts()).get(project.terms.name, 0)
    terms = {name: value for name, value in _settable(project).items() if name in _PLAIN}
    return ProjectObject(
        **terms,
        id=project.id,
        budget_total=plain_amount(project.terms.budget_total),
        credited=plain_amount(project.credited),
        budget=ProjectBudget(**{name: plain_amount(getattr(limits, f"budget_{name}")) for name in BUDGETS}),
        spent=ProjectSpending(**spent, reserved=plain_amount(reserved["total"])),
        keys=count,
        signs=project.signs,
        created_at=project.created_at,
    )


_PLAIN = frozenset(name for name in ProjectTerms.model_fields if not name.startswith("budget_"))


def _credit_object(credit: ProjectCredit, *, repeated: bool = False) -> CreditObject:
    return CreditObject(
        project=credit.project_id,
        reference=credit.reference,
        amount=plain_amount(credit.amount),
        at=credit.at,
        by=credit.by,
        note=credit.note,
        repeated=repeated,
    )
