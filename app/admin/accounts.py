"""`/admin/api/accounts`: the pool, looked at and changed."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.accounts.definition import AccountChange, AccountDraft, Secret
from app.accounts.status import AccountStatus
from app.admin.access import AdminRequest, OwnerRoute
from app.admin.account_object import account_objects, settable_fields
from app.admin.bodies import Name, PanelBody
from app.admin.masking import mask_secrets, restore_masked
from app.admin.paging import whole_list
from app.errors import FilmgateError, InvalidRequest
from app.providers.base import AccountCheck

router = APIRouter(route_class=OwnerRoute, prefix="/accounts")
FilterText = Annotated[str | None, Query(max_length=200)]
BulkAction = Literal["enable", "disable", "drain", "clear", "delete", "test"]


class DisableBody(PanelBody):
    reason: str = "by the operator"


class ClearBody(PanelBody):
    model: Name | None = None


class SecretBody(PanelBody):
    secret: Secret = Field(repr=False)


class DuplicateBody(PanelBody):
    name: Name
    secret: Secret | None = Field(default=None, repr=False)


class BulkBody(PanelBody):
    ids: list[str]
    action: BulkAction


@router.get("", summary="Accounts")
async def list_accounts(
    at: AdminRequest,
    *,
    q: FilterText = None,
    state: FilterText = None,
    provider: FilterText = None,
    tag: FilterText = None,
) -> dict[str, Any]:
    """All of them, oldest first; `q` is a part of the name, the address or the note."""
    rows = await account_objects(at.panel, await at.panel.accounts.list_all())
    if q:
        needle = q.lower()
        rows = [
            row
            for row in rows
            if any(needle in row[field].lower() for field in ("name", "base_url", "note", "provider"))
        ]
    wanted = {"state": state, "provider": provider}
    rows = [row for row in rows if all(not value or row[name] == value for name, value in wanted.items())]
    return whole_list([row for row in rows if not tag or tag in row["tags"]])


@router.post("", status_code=201, summary="Add an account")
async def add_account(draft: AccountDraft, at: AdminRequest) -> dict[str, Any]:
    made = await at.panel.accounts.add(draft)
    await at.record_change("account.added", _audit_target(made), after=settable_fields(made))
    return await _account_object(at, made)


@router.post("/bulk", summary="Do the same to many accounts")
async def change_many(wish: BulkBody, at: AdminRequest) -> dict[str, Any]:
    """Each by itself: what can't be done to one is told and does not stop the others."""
    if len(wish.ids) > 1000:
        raise InvalidRequest("ids may hold at most 1000", param="ids")
    return whole_list([await _bulk_result(at, which, wish.action) for which in wish.ids])


@router.get("/{which}", summary="An account")
async def get_account(which: str, at: AdminRequest) -> dict[str, Any]:
    return await _account_object(at, await at.panel.accounts.find(which))


@router.patch("/{which}", summary="Change an account")
async def change_account(which: str, change: AccountChange, at: AdminRequest) -> dict[str, Any]:
    """Only what is sent changes; the secret has its own way, `rotate`."""
    before = await at.panel.accounts.find(which)
    if change.options is not None:  # what was shown as a mask stays what it is
        options = restore_masked(change.options, dict(before.account.options))
        given = {name: getattr(change, name) for name in change.model_fields_set}
        change = AccountChange.model_construct(change.model_fields_set, **given | {"options": options})
    after = await at.panel.accounts.update(which, change)
    await at.record_change(
        "account.updated", _audit_target(after), before=settable_fields(before), after=settable_fields(after)
    )
    return await _account_object(at, after)


@router.delete("/{which}", status_code=204, summary="Remove an account")
async def remove_account(which: str, at: AdminRequest, *, force: bool = False) -> Response:
    """Refused while tasks run on it, unless `force`: they then end as failed."""
    before = await at.panel.accounts.find(which)
    await at.panel.accounts.remove(which, force=force)
    await at.record_change("account.removed", _audit_target(before), before=settable_fields(before))
    return Response(status_code=204)


@router.post("/{which}/test", summary="Test an account")
async def test_account(which: str, at: AdminRequest) -> dict[str, Any]:
    """Its balance where the vendor tells it, else one look; nothing that costs is sent."""
    return await _test_result(at, which)


@router.post("/{which}/enable", summary="Put an account back")
async def enable_account(which: str, at: AdminRequest) -> dict[str, Any]:
    """Ends its cooldowns too."""
    return await _change_and_record(at, which, "account.enabled", change=at.panel.accounts.enable)


@router.post("/{which}/disable", summary="Take an account out")
async def disable_account(which: str, at: AdminRequest, *, wish: DisableBody | None = None) -> dict[str, Any]:
    """What runs on it goes on."""
    reason = (wish or DisableBody()).reason.strip() or "by the operator"

    async def disable_one(name: str) -> AccountStatus:
        return await at.panel.accounts.disable(name, reason=reason)

    return await _change_and_record(at, which, "account.disabled", change=disable_one)


@router.post("/{which}/drain", summary="Let an account finish, and give it nothing new")
async def drain_account(which: str, at: AdminRequest) -> dict[str, Any]:
    return await _change_and_record(at, which, "account.drained", change=_drain_account(at))


@router.post("/{which}/clear", summary="End an account's cooldown")
async def clear_cooldown(which: str, at: AdminRequest, *, wish: ClearBody | None = None) -> dict[str, Any]:
    """Of one upstream model, or every one."""
    model = wish.model if wish else None

    async def clear_one(name: str) -> AccountStatus:
        return await at.panel.accounts.clear_cooldown(name, model=model)

    return await _change_and_record(at, which, "account.cooldown_cleared", change=clear_one)


@router.post("/{which}/rotate", summary="Give an account a new secret")
async def rotate_secret(which: str, wish: SecretBody, at: AdminRequest) -> dict[str, Any]:
    async def rotate_one(name: str) -> AccountStatus:
        return await at.panel.accounts.rotate_secret(name, wish.secret)

    return await _change_and_record(at, which, "account.secret_rotated", change=rotate_one)


@router.post("/{which}/duplicate", status_code=201, summary="Copy an account under another name")
async def duplicate_account(which: str, wish: DuplicateBody, at: AdminRequest) -> dict[str, Any]:
    """With the same secret, unless another is sent."""
    made = await at.panel.accounts.duplicate(which, name=wish.name, secret=wish.secret)
    await at.record_change("account.added", _audit_target(made), after=settable_fields(made))
    return await _account_object(at, made)


async def _bulk_result(at: AdminRequest, which: str, action: BulkAction) -> dict[str, Any]:
    try:
        message = await _bulk_step(at, which, action)
    except FilmgateError as error:
        return {"id": which, "ok": False, "message": error.message}
    return {"id": which, "ok": message is None, "message": message or ""}


async def _bulk_step(at: AdminRequest, which: str, action: BulkAction) -> str | None:
    """What went wrong, where that is an answer and no error."""
    if action == "test":
        found = await _test_result(at, which)
        return None if found["ok"] else str(found["message"])
    if action == "delete":
        await remove_account(which, at)
        return None
    ways: dict[str, tuple[str, Callable[[str], Awaitable[AccountStatus]]]] = {
        "enable": ("account.enabled", at.panel.accounts.enable),
        "disable": ("account.disabled", at.panel.accounts.disable),
        "drain": ("account.drained", _drain_account(at)),
        "clear": ("account.cooldown_cleared", at.panel.accounts.clear_cooldown),
    }
    word, change = ways[action]
    await _change_and_record(at, which, word, change=change)
    return None


async def _test_result(at: AdminRequest, which: str) -> dict[str, Any]:
    account = (await at.panel.accounts.find(which)).account
    began = time.monotonic()
    if at.panel.pool.is_embedded(account.id):
        found = AccountCheck("accepted", "it is built in and ready")
    else:
        found = await (await at.panel.pool.provider_by_id(account.id)).check_account()
    balance = {"left": found.balance.left, "unit": found.balance.unit} if found.balance else None
    return {
        "ok": found.verdict in ("accepted", "reachable"),
        "verdict": found.verdict,
        "message": mask_secrets(found.text),
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
        "balance": balance,
    }


def _drain_account(at: AdminRequest) -> Callable[[str], Awaitable[AccountStatus]]:
    async def drain_one(name: str) -> AccountStatus:
        await at.panel.accounts.drain(name)
        return await at.panel.accounts.find(name)

    return drain_one


async def _change_and_record(
    at: AdminRequest, which: str, action: str, *, change: Callable[[str], Awaitable[AccountStatus]]
) -> dict[str, Any]:
    before = await _account_object(at, await at.panel.accounts.find(which))
    after = await _account_object(at, await change(which))
    sides = [{name: row[name] for name in ("state", "reason", "secret_hint")} for row in (before, after)]
    await at.record_change(action, f"accounts/{after['id']}", before=sides[0], after=sides[1])
    return after


async def _account_object(at: AdminRequest, standing: AccountStatus) -> dict[str, Any]:
    return (await account_objects(at.panel, [standing]))[0]


def _audit_target(standing: AccountStatus) -> str:
    return f"accounts/{standing.account.id}"
