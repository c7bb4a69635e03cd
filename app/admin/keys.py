"""`/admin/api/keys`: client keys, their limits and budgets, and whom they want told."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.admin.access import At, OwnerRoute
from app.admin.key_object import BUDGETS, keys_of, settable
from app.admin.paging import whole
from app.admin.webhooks import NewEndpoint, endpoint_object, make_endpoint
from app.admin.wishes import Wish
from app.keys.key import Key
from app.keys.terms import Dollars

router = APIRouter(route_class=OwnerRoute, prefix="/keys")
Word = Annotated[str | None, Query(max_length=200)]
MOST_OVERLAP = 30 * 86_400


class Budget(Wish):
    """In US dollars; null is without a limit."""

    total: Dollars | None = None
    daily: Dollars | None = None
    monthly: Dollars | None = None


class KeyWish(Wish):
    """Every field is checked as the configuration file's are."""

    name: str | None = None
    project: str | None = None
    models: list[str] | None = None
    networks: list[str] | None = None
    rpm: int | None = None
    tasks_limit: int | None = None
    budget: Budget | None = None
    expires_at: float | None = None
    options: dict[str, Any] | None = None
    note: str | None = None
    enabled: bool | None = None

    def terms(self) -> dict[str, Any]:
        """What was sent, in the words of ``Terms``."""
        given = self.given()
        budget = given.pop("budget", None)
        if "budget" in self.model_fields_set:
            chosen = budget.given() if budget is not None else dict.fromkeys(BUDGETS)
            given |= {f"budget_{name}": amount for name, amount in chosen.items()}
        empty: dict[str, Any] = {"models": (), "networks": (), "options": {}, "note": "", "enabled": True}
        return {name: empty.get(name) if value is None else value for name, value in given.items()}


class KeyRotation(Wish):
    overlap_seconds: float = Field(default=86_400, ge=0, le=MOST_OVERLAP, allow_inf_nan=False)


@router.get("", summary="Client keys")
async def list_keys(at: At, *, q: Word = None, state: Word = None) -> dict[str, Any]:
    """Oldest first; `q` is a part of the name, the project, the note or the id."""
    found = await at.panel.gateway.keys.list()
    if q:
        found = [
            key for key in found if q.lower() in f"{key.name}\n{key.project}\n{key.note}\n{key.id}".lower()
        ]
    rows = await keys_of(at.panel, found)
    return whole([row for row in rows if not state or row["state"] == state])


@router.post("", status_code=201, summary="Make a client key")
async def make_key(wish: KeyWish, at: At) -> dict[str, Any]:
    """`secret` is the key itself, shown this once."""
    key, secret = await at.panel.gateway.keys.make(wish.terms())
    await at.note("key.made", f"keys/{key.id}", after=settable(key))
    return await _shown(at, key) | {"secret": secret}


@router.get("/{key_id}", summary="A client key")
async def get_key(key_id: str, at: At) -> dict[str, Any]:
    return await _shown(at, await at.panel.gateway.keys.get(key_id))


@router.patch("/{key_id}", summary="Change a client key")
async def change_key(key_id: str, wish: KeyWish, at: At) -> dict[str, Any]:
    """Only what is sent changes; other processes notice within five seconds."""
    before = await at.panel.gateway.keys.get(key_id)
    after = await at.panel.gateway.keys.update(key_id, wish.terms())
    await at.note("key.updated", f"keys/{key_id}", before=settable(before), after=settable(after))
    return await _shown(at, after)


@router.post("/{key_id}/rotate", summary="Give a client key a new secret")
async def rotate_key(key_id: str, at: At, *, wish: KeyRotation | None = None) -> dict[str, Any]:
    """Shown this once; the old one works for `overlap_seconds` more."""
    overlap = (wish or KeyRotation()).overlap_seconds
    secret = await at.panel.gateway.keys.rotate(key_id, overlap_seconds=overlap)
    await at.note("key.rotated", f"keys/{key_id}", after={"overlap_seconds": overlap})
    return await _shown(at, await at.panel.gateway.keys.get(key_id)) | {"secret": secret}


@router.delete("/{key_id}", status_code=204, summary="Revoke a client key")
async def revoke_key(key_id: str, at: At) -> Response:
    """It stays in the list, disabled, as its tasks and its books do."""
    before = await at.panel.gateway.keys.get(key_id)
    await at.panel.gateway.keys.revoke(key_id)
    await at.note("key.revoked", f"keys/{key_id}", before={"enabled": before.enabled, "name": before.name})
    return Response(status_code=204)


@router.get("/{key_id}/endpoints", summary="Webhook endpoints of a key")
async def list_endpoints(key_id: str, at: At) -> dict[str, Any]:
    key = await at.panel.gateway.keys.get(key_id)
    found, _ = await at.panel.gateway.endpoints.page(key.owner, after=None, limit=200)
    return whole([endpoint_object(each) for each in found])


@router.post("/{key_id}/endpoints", status_code=201, summary="Add a webhook endpoint of a key")
async def add_endpoint(key_id: str, wish: NewEndpoint, at: At) -> dict[str, Any]:
    """Its secret is shown this once."""
    key = await at.panel.gateway.keys.get(key_id)
    return await make_endpoint(at, wish, owner=key.owner)


async def _shown(at: At, key: Key) -> dict[str, Any]:
    return (await keys_of(at.panel, [key]))[0]
