"""`/admin/api/accounts`: the accounts at providers, one by one or several at once."""

import time
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from fastapi import APIRouter, Response
from pydantic import Field

from app.accounts.definition import AccountChange, AccountDraft, Secret
from app.accounts.status import AccountStatus
from app.admin.access import AdminRequest, OwnerRoute
from app.admin.account_object import AccountObject, account_objects, settable_fields
from app.admin.bodies import ListAnswer, Name, PanelAnswer, PanelBody
from app.admin.lists import FilterText
from app.admin.masking import mask_secrets, restore_masked
from app.errors import FilmgateError, InvalidRequest
from app.providers.base import AccountCheck

router = APIRouter(route_class=OwnerRoute, prefix="/accounts")
MOST_AT_ONCE = 1000
BulkAction = Literal["enable", "disable", "drain", "clear", "delete", "test"]
StatusChange = Callable[[str], Awaitable[AccountStatus]]


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


class BulkResult(PanelAnswer):
    """What came of the action for one account; ``message`` says why it failed."""

    id: str
    ok: bool
    message: str


class BalanceObject(PanelAnswer):
    left: float
    unit: str


class CheckResult(PanelAnswer):
    """``ok`` when the vendor accepted the credentials, or at least answered."""

    ok: bool
    verdict: str
    message: str
    milliseconds: float
    balance: BalanceObject | None


@router.get("", summary="List accounts")
async def list_accounts(
    request: AdminRequest,
    *,
    q: FilterText = None,
    state: FilterText = None,
    provider: FilterText = None,
    tag: FilterText = None,
) -> ListAnswer[AccountObject]:
    """All accounts, oldest first; `q` is part of the name, the address, the note or the provider."""
    statuses = await request.panel.accounts.list_all()
    if q:
        statuses = [status for status in statuses if q.lower() in _searched_text(status)]
    if provider:
        statuses = [status for status in statuses if status.account.provider == provider]
    if tag:
        statuses = [status for status in statuses if tag in status.account.tags]
    rows = await account_objects(request.panel, statuses)
    return ListAnswer(data=[row for row in rows if not state or row.state == state])


@router.post("", status_code=201, summary="Add an account")
async def add_account(draft: AccountDraft, request: AdminRequest) -> AccountObject:
    created = await request.panel.accounts.add(draft)
    await request.record_change("account.added", _audit_target(created), after=_audit_side(created))
    return await _account_object(request, created)


@router.post("/bulk", summary="Change several accounts")
async def change_many(body: BulkBody, request: AdminRequest) -> ListAnswer[BulkResult]:
    """Each account on its own: a failure is reported in its row and does not stop the others."""
    if len(body.ids) > MOST_AT_ONCE:
        raise InvalidRequest(f"ids may hold at most {MOST_AT_ONCE}", param="ids")
    return ListAnswer(data=[await _bulk_result(request, which, body.action) for which in body.ids])


@router.get("/{which}", summary="Show an account")
async def get_account(which: str, request: AdminRequest) -> AccountObject:
    return await _account_object(request, await request.panel.accounts.find(which))


@router.patch("/{which}", summary="Change an account")
async def change_account(which: str, change: AccountChange, request: AdminRequest) -> AccountObject:
    """Changes the fields that are sent. `rotate` replaces the secret."""
    before = await request.panel.accounts.find(which)
    given = change.given_fields()
    if given.get("options") is not None:  # a mask that is sent back stands for the stored value
        given["options"] = restore_masked(given["options"], dict(before.account.options))
        change = AccountChange.model_construct(set(given), **given)
    after = await request.panel.accounts.update(which, change)
    await request.record_change(
        "account.updated", _audit_target(after), before=_audit_side(before), after=_audit_side(after)
    )
    return await _account_object(request, after)


@router.delete("/{which}", status_code=204, summary="Remove an account")
async def remove_account(which: str, request: AdminRequest, *, force: bool = False) -> Response:
    """Rejected while tasks run on it, unless `force` is set: then these tasks fail."""
    before = await request.panel.accounts.find(which)
    await request.panel.accounts.remove(which, force=force)
    await request.record_change("account.removed", _audit_target(before), before=_audit_side(before))
    return Response(status_code=204)


@router.post("/{which}/test", summary="Test an account")
async def test_account(which: str, request: AdminRequest) -> CheckResult:
    """Asks the vendor for the balance, or else for something else that is free of charge."""
    return await _check_account(request, which)


@router.post("/{which}/enable", summary="Enable an account")
async def enable_account(which: str, request: AdminRequest) -> AccountObject:
    """Clears its cooldowns too."""
    change = request.panel.accounts.enable
    return await _change_and_record(request, which, "account.enabled", change=change)


@router.post("/{which}/disable", summary="Disable an account")
async def disable_account(
    which: str, request: AdminRequest, *, body: DisableBody | None = None
) -> AccountObject:
    """Its running tasks go on."""
    reason = (body or DisableBody()).reason.strip() or "by the operator"

    async def disable_one(name: str) -> AccountStatus:
        return await request.panel.accounts.disable(name, reason=reason)

    return await _change_and_record(request, which, "account.disabled", change=disable_one)


@router.post("/{which}/drain", summary="Drain an account")
async def drain_account(which: str, request: AdminRequest) -> AccountObject:
    """Its running tasks go on, and it is disabled for new ones."""
    return await _change_and_record(request, which, "account.drained", change=_drain_account(request))


@router.post("/{which}/clear", summary="Clear the cooldowns of an account")
async def clear_cooldown(
    which: str, request: AdminRequest, *, body: ClearBody | None = None
) -> AccountObject:
    """All of them, or with `model` that of one upstream model."""
    model = body.model if body else None

    async def clear_one(name: str) -> AccountStatus:
        return await request.panel.accounts.clear_cooldown(name, model=model)

    return await _change_and_record(request, which, "account.cooldown_cleared", change=clear_one)


@router.post("/{which}/rotate", summary="Replace the secret of an account")
async def rotate_secret(which: str, body: SecretBody, request: AdminRequest) -> AccountObject:
    async def rotate_one(name: str) -> AccountStatus:
        return await request.panel.accounts.rotate_secret(name, body.secret)

    return await _change_and_record(request, which, "account.secret_rotated", change=rotate_one)


@router.post("/{which}/duplicate", status_code=201, summary="Copy an account under another name")
async def duplicate_account(which: str, body: DuplicateBody, request: AdminRequest) -> AccountObject:
    """With the same secret, unless another one is sent."""
    created = await request.panel.accounts.duplicate(which, name=body.name, secret=body.secret)
    await request.record_change("account.added", _audit_target(created), after=_audit_side(created))
    return await _account_object(request, created)


async def _bulk_result(request: AdminRequest, which: str, action: BulkAction) -> BulkResult:
    try:
        message = await _bulk_step(request, which, action)
    except FilmgateError as error:
        return BulkResult(id=which, ok=False, message=error.message)
    return BulkResult(id=which, ok=message is None, message=message or "")


async def _bulk_step(request: AdminRequest, which: str, action: BulkAction) -> str | None:
    """The message of a failed test, else None. Raises ``FilmgateError`` for what cannot be done."""
    if action == "test":
        result = await _check_account(request, which)
        return None if result.ok else result.message
    if action == "delete":
        await remove_account(which, request)
        return None
    changes: dict[str, tuple[str, StatusChange]] = {
        "enable": ("account.enabled", request.panel.accounts.enable),
        "disable": ("account.disabled", request.panel.accounts.disable),
        "drain": ("account.drained", _drain_account(request)),
        "clear": ("account.cooldown_cleared", request.panel.accounts.clear_cooldown),
    }
    recorded, change = changes[action]
    await _change_and_record(request, which, recorded, change=change)
    return None


async def _check_account(request: AdminRequest, which: str) -> CheckResult:
    account = (await request.panel.accounts.find(which)).account
    began = time.monotonic()
    if request.panel.pool.is_embedded(account.id):
        check = AccountCheck("accepted", "it is built in and ready")
    else:
        check = await (await request.panel.pool.provider_by_id(account.id)).check_account()
        await request.panel.accounts.record_test(account.id, check)
    balance = check.balance
    return CheckResult(
        ok=check.verdict in ("accepted", "reachable"),
        verdict=check.verdict,
        message=mask_secrets(check.text),
        milliseconds=round((time.monotonic() - began) * 1000, 1),
        balance=BalanceObject(left=balance.left, unit=balance.unit) if balance else None,
    )


def _drain_account(request: AdminRequest) -> StatusChange:
    async def drain_one(name: str) -> AccountStatus:
        await request.panel.accounts.drain(name)
        return await request.panel.accounts.find(name)

    return drain_one


async def _change_and_record(
    request: AdminRequest, which: str, action: str, *, change: StatusChange
) -> AccountObject:
    before = await _account_object(request, await request.panel.accounts.find(which))
    after = await _account_object(request, await change(which))
    sides = [row.model_dump(include={"state", "reason", "secret_hint"}) for row in (before, after)]
    await request.record_change(action, f"accounts/{after.id}", before=sides[0], after=sides[1])
    return after


async def _account_object(request: AdminRequest, status: AccountStatus) -> AccountObject:
    return (await account_objects(request.panel, [status]))[0]


def _searched_text(status: AccountStatus) -> str:
    account = status.account
    return "\n".join([account.name, account.base_url, status.note, account.provider]).lower()


def _audit_target(status: AccountStatus) -> str:
    return f"accounts/{status.account.id}"


def _audit_side(status: AccountStatus) -> dict[str, Any]:
    fields = settable_fields(status)
    quota = fields["quota"]
    return fields | {"quota": quota and quota.model_dump()}
