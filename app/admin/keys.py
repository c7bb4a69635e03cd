"""`/admin/api/keys`: client keys, their limits and budgets, and whom they want told."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.bodies import PanelBody
from app.admin.key_object import BUDGETS, key_objects, settable_fields
from app.admin.paging import whole_list
from app.admin.webhooks import NewEndpointBody, endpoint_object, make_endpoint
from app.keys.key import ClientKey
from app.keys.terms import Dollars

router = APIRouter(route_class=OwnerRoute, prefix="/keys")
FilterText = Annotated[str | None, Query(max_length=200)]
MOST_OVERLAP = 30 * 86_400


class BudgetBody(PanelBody):
    """In US dollars; null is without a limit."""

    total: Dollars | None = None
    daily: Dollars | None = None
    monthly: Dollars | None = None


class KeyBody(PanelBody):
    """Every field is checked as the configuration file's are."""

    name: str | None = None
    project: str | None = None
    models: list[str] | None = None
    networks: list[str] | None = None
    rpm: int | None = None
    tasks_limit: int | None = None
    budget: BudgetBody | None = None
    expires_at: float | None = None
    options: dict[str, Any] | None = None
    note: str | None = None
    enabled: bool | None = None

    def as_terms(self) -> dict[str, Any]:
        """What was sent, in the words of ``Terms``."""
        given = self.given_fields()
        budget = given.pop("budget", None)
        if "budget" in self.model_fields_set:
            chosen = budget.given_fields() if budget is not None else dict.fromkeys(BUDGETS)
            given |= {f"budget_{name}": amount for name, amount in chosen.items()}
        empty: dict[str, Any] = {"models": (), "networks": (), "options": {}, "note": "", "enabled": True}
        return {name: empty.get(name) if value is None else value for name, value in given.items()}


class KeyRotationBody(PanelBody):
    overlap_seconds: float = Field(default=86_400, ge=0, le=MOST_OVERLAP, allow_inf_nan=False)


@router.get("", summary="Client keys")
async def list_keys(at: AdminRequest, *, q: FilterText = None, state: FilterText = None) -> dict[str, Any]:
    """Oldest first; `q` is a part of the name, the project, the note or the id."""
    found = await at.panel.gateway.keys.list()
    if q:
        found = [
            key for key in found if q.lower() in f"{key.name}\n{key.project}\n{key.note}\n{key.id}".lower()
        ]
    rows = await key_objects(at.panel, found)
    return whole_list([row for row in rows if not state or row["state"] == state])


@router.post("", status_code=201, summary="Make a client key")
async def make_key(wish: KeyBody, at: AdminRequest) -> dict[str, Any]:
    """`secret` is the key itself, shown this once."""
    key, secret = await at.panel.gateway.keys.create_key(wish.as_terms())
    await at.record_change("key.made", f"keys/{key.id}", after=settable_fields(key))
    return await _key_object(at, key) | {"secret": secret}


@router.get("/{key_id}", summary="A client key")
async def get_key(key_id: str, at: AdminRequest) -> dict[str, Any]:
    return await _key_object(at, await at.panel.gateway.keys.get(key_id))


@router.patch("/{key_id}", summary="Change a client key")
async def change_key(key_id: str, wish: KeyBody, at: AdminRequest) -> dict[str, Any]:
    """Only what is sent changes; other processes notice within five seconds."""
    before = await at.panel.gateway.keys.get(key_id)
    after = await at.panel.gateway.keys.update(key_id, wish.as_terms())
    await at.record_change(
        "key.updated", f"keys/{key_id}", before=settable_fields(before), after=settable_fields(after)
    )
    return await _key_object(at, after)


@router.post("/{key_id}/rotate", summary="Give a client key a new secret")
async def rotate_key(key_id: str, at: AdminRequest, *, wish: KeyRotationBody | None = None) -> dict[str, Any]:
    """Shown this once; the old one works for `overlap_seconds` more."""
    overlap = (wish or KeyRotationBody()).overlap_seconds
    secret = await at.panel.gateway.keys.rotate(key_id, overlap_seconds=overlap)
    await at.record_change("key.rotated", f"keys/{key_id}", after={"overlap_seconds": overlap})
    return await _key_object(at, await at.panel.gateway.keys.get(key_id)) | {"secret": secret}


@router.delete("/{key_id}", status_code=204, summary="Revoke a client key")
async def revoke_key(key_id: str, at: AdminRequest) -> Response:
    """It stays in the list, disabled, as its tasks and its books do."""
    before = await at.panel.gateway.keys.get(key_id)
    await at.panel.gateway.keys.revoke(key_id)
    await at.record_change(
        "key.revoked", f"keys/{key_id}", before={"enabled": before.enabled, "name": before.name}
    )
    return Response(status_code=204)


@router.get("/{key_id}/endpoints", summary="Webhook endpoints of a key")
async def list_endpoints(key_id: str, at: AdminRequest) -> dict[str, Any]:
    key = await at.panel.gateway.keys.get(key_id)
    found, _ = await at.panel.gateway.endpoints.page(key.owner, after=None, limit=200)
    return whole_list([endpoint_object(each) for each in found])


@router.post("/{key_id}/endpoints", status_code=201, summary="Add a webhook endpoint of a key")
async def add_endpoint(key_id: str, wish: NewEndpointBody, at: AdminRequest) -> dict[str, Any]:
    """Its secret is shown this once."""
    key = await at.panel.gateway.keys.get(key_id)
    return await make_endpoint(at, wish, owner=key.owner)


async def _key_object(at: AdminRequest, key: ClientKey) -> dict[str, Any]:
    return (await key_objects(at.panel, [key]))[0]
