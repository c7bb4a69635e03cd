"""`/admin/api/keys`: client keys with their limits, budgets, spending and webhook endpoints."""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Annotated, Any, Literal, get_type_hints

import sqlalchemy as sa
from fastapi import APIRouter, Query, Response
from pydantic import Field, create_model

from app.admin.access import AdminRequest, AdminRoute
from app.admin.bodies import ListAnswer, NamedItem, PanelAnswer, PanelBody
from app.admin.panel import PanelServices
from app.admin.queries import FilterText
from app.admin.rights import Right
from app.admin.task_object import plain_amount
from app.admin.task_search import id_at
from app.admin.webhooks import (
    EndpointObject,
    EndpointWithSecret,
    NewEndpointBody,
    create_endpoint,
    endpoint_objects,
)
from app.db.tables import spending, tasks
from app.keys.key import ClientKey, KeyTerms
from app.keys.money_fields import Dollars
from app.tasks.key_removal import forget_key
from app.tasks.states import OPEN
from app.usage.ledger import period_label, period_names

router = APIRouter(route_class=AdminRoute, prefix="/keys")
HOUR = 3600
HOURS = 24
MOST_OVERLAP = 30 * 86_400
KeyState = Literal["active", "used_up", "expired", "disabled"]
"""``used_up``: nothing is left of one of its budgets."""
KeySort = Literal["name", "state", "created", "expires", "in_flight", "spent"]
BUDGETS = ("total", "daily", "monthly")
SPENDING_NAMES = (*BUDGETS, "reserved")
KeySpending = dict[str, str | None]
"""Spent in each period; ``held_…``: reserved of it."""
NO_SPENDING: KeySpending = dict.fromkeys([*SPENDING_NAMES, *(f"held_{name}" for name in BUDGETS)], "0")


class BudgetBody(PanelBody):
    """In US dollars; null is without a limit."""

    total: Dollars | None = None
    daily: Dollars | None = None
    monthly: Dollars | None = None


class BudgetObject(PanelAnswer):
    total: str | None
    daily: str | None
    monthly: str | None


class SpendingObject(BudgetObject):
    """What the key spent in each period, and what open tasks reserve."""

    reserved: str | None


def _term_types(*, optional: bool) -> dict[str, Any]:
    """The fields of ``KeyTerms`` but the three budgets, which the panel's API has in one object, for a model."""
    types = get_type_hints(KeyTerms)
    return {
        name: (types[name] | None, None) if optional else (types[name], ...)
        for name in KeyTerms.model_fields
        if not name.startswith("budget_")
    }


_TermsBody: Any = create_model("TermsBody", __base__=PanelBody, **_term_types(optional=True))
_TermsObject: Any = create_model("TermsObject", __base__=PanelAnswer, **_term_types(optional=False))


class KeyBody(_TermsBody):
    """Only types are checked here; ``KeyTerms`` checks the values, as for the configuration file."""

    budget: BudgetBody | None = None

    def as_terms(self) -> dict[str, Any]:
        """The fields that were sent, under their names in ``KeyTerms``; null means the default."""
        given = self.given_fields()
        budget = given.pop("budget", None)
        if "budget" in self.model_fields_set:
            chosen = budget.given_fields() if budget is not None else dict.fromkeys(BUDGETS)
            given |= {f"budget_{name}": amount for name, amount in chosen.items()}
        return {name: _default_of(name) if value is None else value for name, value in given.items()}


class NewKeyBody(KeyBody):
    secret: str | None = None
    """One that clients have already; without it a new one is made."""


class KeyObject(_TermsObject):
    """``hint`` is the key's public beginning, ``sparkline`` the tasks created in each of the last 24 hours."""

    budget: BudgetObject
    id: str
    owner: str
    hint: str
    state: KeyState
    in_flight: int
    spent: SpendingObject
    created_at: float
    old_until: float | None
    source: str
    read_only: bool
    sparkline: list[int]


class KeyList(ListAnswer[KeyObject]):
    """``total`` keys match, of which ``data`` are a page."""

    total: int


class KeyWithSecret(KeyObject):
    """Returned once, when the key or its secret is created."""

    secret: str


class ForgottenObject(PanelAnswer):
    """How many of each went; ``shared``: other keys of its project keep their endpoints and characters."""

    tasks: int
    webhook_endpoints: int
    characters: int
    shared: bool


class KeyRotationBody(PanelBody):
    overlap_seconds: float = Field(default=86_400, ge=0, le=MOST_OVERLAP, allow_inf_nan=False)


@router.get("", summary="List client keys")
async def list_keys(
    request: AdminRequest,
    *,
    q: FilterText = None,
    state: FilterText = None,
    sort: KeySort = "created",
    descending: bool = False,
    limit: Annotated[int | None, Query(ge=1, le=1000)] = None,
    after: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> KeyList:
    """Oldest first, or as `sort` says; all of them, or a page of `limit` from the row `after`.

    `q` is part of the name, the project, the note or the id.
    """
    found = await _found_keys(request.panel, q)
    now = time.time()
    by_state = bool(state) or sort == "state"
    spent = await _spending_by_key(request.panel, None, now=now) if by_state or sort == "spent" else {}
    found = [key for key in found if not state or _key_state(key, spent.get(key.id), now=now) == state]
    found.sort(key=await _sort_key(request.panel, sort, spent=spent, now=now), reverse=descending)
    shown = found[after:] if limit is None else found[after : after + limit]
    end = after + len(shown)
    return KeyList(
        data=await _key_objects(request.panel, shown),
        next=str(end) if end < len(found) else None,
        total=len(found),
    )


@router.get("/names", summary="List the names of client keys")
async def list_key_names(
    request: AdminRequest, *, q: FilterText = None, limit: Annotated[int, Query(ge=1, le=10_000)] = 10_000
) -> ListAnswer[NamedItem]:
    """For a choice among many."""
    found = (await _found_keys(request.panel, q))[:limit]
    return ListAnswer(data=[NamedItem(id=key.id, name=key.name) for key in found])


@router.post("", status_code=201, summary="Create a client key")
async def create_key(body: NewKeyBody, request: AdminRequest) -> KeyWithSecret:
    """`secret` is the whole key. It is returned only here. Send one to keep the key that clients have already."""
    terms = body.as_terms()
    given = terms.pop("secret", None) or ""
    key, secret = await request.panel.gateway.keys.create_key(terms, secret=given)
    await request.record_change("key.made", f"keys/{key.id}", after=settable_fields(key))
    return await _with_secret(request, key, secret)


@router.get("/{key_id}", summary="Show a client key")
async def get_key(key_id: str, request: AdminRequest) -> KeyObject:
    return await _key_object(request, await request.panel.gateway.keys.get(key_id))


@router.patch("/{key_id}", summary="Change a client key")
async def change_key(key_id: str, body: KeyBody, request: AdminRequest) -> KeyObject:
    """Changes the fields that are sent; of the role finance, only `budget`. Other processes notice within five seconds."""
    if body.model_fields_set - {"budget"}:
        request.actor.require(Right.OPERATE)
    before = await request.panel.gateway.keys.get(key_id)
    after = await request.panel.gateway.keys.update(key_id, body.as_terms())
    await request.record_change(
        "key.updated", f"keys/{key_id}", before=settable_fields(before), after=settable_fields(after)
    )
    return await _key_object(request, after)


@router.post("/{key_id}/rotate", summary="Rotate the secret of a client key")
async def rotate_key(
    key_id: str, request: AdminRequest, *, body: KeyRotationBody | None = None
) -> KeyWithSecret:
    """The new secret is returned only here; the old one works for `overlap_seconds` more."""
    overlap = (body or KeyRotationBody()).overlap_seconds
    secret = await request.panel.gateway.keys.rotate(key_id, overlap_seconds=overlap)
    await request.record_change("key.rotated", f"keys/{key_id}", after={"overlap_seconds": overlap})
    return await _with_secret(request, await request.panel.gateway.keys.get(key_id), secret)


@router.delete("/{key_id}", status_code=204, summary="Revoke a client key")
async def revoke_key(key_id: str, request: AdminRequest) -> Response:
    """The key stays in the list as disabled, and keeps its tasks and its ledger."""
    before = await request.panel.gateway.keys.get(key_id)
    await request.panel.gateway.keys.revoke(key_id)
    await request.record_change(
        "key.revoked", f"keys/{key_id}", before={"enabled": before.enabled, "name": before.name}
    )
    return Response(status_code=204)


@router.post("/{key_id}/forget", summary="Delete a client key and all that its client has left")
async def forget_client_key(key_id: str, request: AdminRequest) -> ForgottenObject:
    """Its tasks, films, inputs, prompts and webhooks go with it; the books keep amounts. 400 while its tasks run or hold
    money."""
    gateway = request.panel.gateway
    done = await forget_key(request.panel.database, gateway.store, keys=gateway.keys, key_id=key_id)
    await request.record_change("key.forgotten", f"keys/{key_id}", after=asdict(done))
    return ForgottenObject(**asdict(done))


@router.get("/{key_id}/endpoints", summary="List the webhook endpoints of a key")
async def list_endpoints(key_id: str, request: AdminRequest) -> ListAnswer[EndpointObject]:
    key = await request.panel.gateway.keys.get(key_id)
    endpoints, _ = await request.panel.gateway.endpoints.page(key.owner, after=None, limit=200)
    return ListAnswer(data=await endpoint_objects(request.panel, endpoints))


@router.post("/{key_id}/endpoints", status_code=201, summary="Add a webhook endpoint to a key")
async def add_endpoint(key_id: str, body: NewEndpointBody, request: AdminRequest) -> EndpointWithSecret:
    """The secret is returned only here."""
    key = await request.panel.gateway.keys.get(key_id)
    return await create_endpoint(request, body, owner=key.owner)


async def _found_keys(panel: PanelServices, text: str | None) -> list[ClientKey]:
    keys = await panel.gateway.keys.list()
    if not text:
        return list(keys)
    return [key for key in keys if text.lower() in f"{key.name}\n{key.project}\n{key.note}\n{key.id}".lower()]


async def _sort_key(
    panel: PanelServices, sort: KeySort, *, spent: Mapping[str, KeySpending], now: float
) -> Callable[[ClientKey], Any]:
    if sort == "spent":
        return lambda key: Decimal(spent.get(key.id, NO_SPENDING)["total"] or 0)
    if sort == "in_flight":
        in_flight = await _in_flight(panel)
        return lambda key: in_flight.get(key.id, 0)
    orders: dict[str, Callable[[ClientKey], Any]] = {
        "name": lambda key: key.name.lower(),
        "state": lambda key: _key_state(key, spent.get(key.id), now=now),
        "created": lambda key: key.created_at,
        "expires": lambda key: key.expires_at or float("inf"),
    }
    return orders[sort]


def settable_fields(key: ClientKey) -> dict[str, Any]:
    """What an operator may set, with its present values."""
    terms = key.terms()
    budget = {name: plain_amount(terms.pop(f"budget_{name}")) for name in BUDGETS}
    return terms | {"budget": budget}


async def _key_object(request: AdminRequest, key: ClientKey) -> KeyObject:
    return (await _key_objects(request.panel, [key]))[0]


async def _with_secret(request: AdminRequest, key: ClientKey, secret: str) -> KeyWithSecret:
    return KeyWithSecret(**(await _key_object(request, key)).model_dump(), secret=secret)


async def _key_objects(panel: PanelServices, keys: list[ClientKey]) -> list[KeyObject]:
    now = time.time()
    ids = [key.id for key in keys]
    in_flight = await _in_flight(panel)
    spent = await _spending_by_key(panel, ids, now=now)
    lines = await _hourly_counts(panel, ids, now=now)
    return [
        KeyObject(
            **settable_fields(key),
            id=key.id,
            owner=key.owner,
            hint=_key_hint(key),
            state=_key_state(key, spent.get(key.id), now=now),
            in_flight=in_flight.get(key.id, 0),
            spent=SpendingObject(**{name: spent.get(key.id, NO_SPENDING)[name] for name in SPENDING_NAMES}),
            created_at=key.created_at,
            old_until=key.old_until if key.old_until and key.old_until > now else None,
            source=key.source,
            read_only=key.source == "file",
            sparkline=lines[key.id],
        )
        for key in keys
    ]


def _default_of(name: str) -> Any:
    """The default of a field of ``KeyTerms``; None for the name, which has none."""
    field = KeyTerms.model_fields.get(name)
    return None if field is None or field.is_required() else field.get_default(call_default_factory=True)


def _key_hint(key: ClientKey) -> str:
    """How the key begins; unknown for one whose text the operator chose."""
    is_own = key.secret_given or key.source == "file" or key.name == "FILMGATE_API_KEY"
    return "…" if is_own else f"sk-fg-{key.id}…"


def _key_state(key: ClientKey, spent: KeySpending | None, *, now: float) -> KeyState:
    if not key.enabled:
        return "disabled"
    if key.expires_at is not None and key.expires_at <= now:
        return "expired"
    used = spent or NO_SPENDING
    budgets = {name: getattr(key, f"budget_{name}") for name in BUDGETS}
    taken = {name: Decimal(used[name] or 0) + Decimal(used[f"held_{name}"] or 0) for name in BUDGETS}
    is_used_up = any(budget is not None and taken[name] >= budget for name, budget in budgets.items())
    return "used_up" if is_used_up else "active"


async def _in_flight(panel: PanelServices) -> dict[str, int]:
    """Open tasks by key, read by state: few tasks are open, and a key may have a long history."""
    query = sa.select(tasks.c.key_id, sa.func.count()).where(tasks.c.state.in_(OPEN)).group_by(tasks.c.key_id)
    async with panel.database.read() as connection:
        return {row[0]: int(row[1]) for row in await connection.execute(query)}


async def _spending_by_key(
    panel: PanelServices, ids: list[str] | None, *, now: float
) -> dict[str, KeySpending]:
    """Of these keys, or of all."""
    labels = {period: period_label(period) for period in period_names(now)}
    spent: dict[str, KeySpending] = {}
    query = sa.select(spending).where(spending.c.period.in_(labels))
    if ids is not None:
        query = query.where(spending.c.key_id.in_(ids))
    async with panel.database.read() as connection:
        for row in await connection.execute(query):
            mine, label = spent.setdefault(row.key_id, dict(NO_SPENDING)), labels[row.period]
            mine[label], mine[f"held_{label}"] = plain_amount(row.spent), plain_amount(row.reserved)
            if label == "total":
                mine["reserved"] = plain_amount(row.reserved)
    return spent


async def _hourly_counts(panel: PanelServices, ids: list[str], *, now: float) -> dict[str, list[int]]:
    """Tasks created in each of the last 24 hours, newest last, by key."""
    first = int(now // HOUR) - HOURS + 1
    # Ids are ordered by time, so the index on them answers alone.
    hour = sa.case(
        *((tasks.c.id >= id_at((first + back) * HOUR), back) for back in range(HOURS - 1, 0, -1)), else_=0
    )
    query = (
        sa.select(tasks.c.key_id, hour.label("hour"), sa.func.count().label("created"))
        .where(tasks.c.key_id.in_(ids), tasks.c.id >= id_at(first * HOUR))
        .group_by(tasks.c.key_id, hour)
    )
    counts: dict[str, list[int]] = defaultdict(lambda: [0] * HOURS)
    async with panel.database.read() as connection:
        for row in await connection.execute(query):
            counts[row.key_id][row.hour] = int(row.created)
    return counts
