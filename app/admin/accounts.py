"""`/admin/api/accounts`: the accounts at providers, one by one or several at once."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.accounts.definition import AccountChange, AccountDraft, Secret
from app.accounts.status import AccountStatus
from app.admin.access import AdminRequest, AdminRoute
from app.admin.account_object import AccountObject, account_objects, settable_fields
from app.admin.account_search import (
    MOST_NAMES,
    AccountList,
    AccountPage,
    AccountQuery,
    account_list,
    account_names,
)
from app.admin.bodies import ListAnswer, Name, NamedItem, PanelAnswer, PanelBody
from app.admin.masking import mask_secrets, restore_masked
from app.admin.panel import PanelServices
from app.providers.base import AccountCheck, Provider

router = APIRouter(route_class=AdminRoute, prefix="/accounts")
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
async def list_accounts(request: AdminRequest, wanted: AccountQuery, page: AccountPage) -> AccountList:
    """Oldest first, or as `sort` says; all of them, or a page of `limit` from the row `after`.

    `q` is part of the name, the address, the note or the provider. With `ids`, as the events of `/events` name them, only
    these, as they were within the last two seconds.
    """
    return await account_list(request.panel, wanted, page)


@router.get("/names", summary="List the names of accounts")
async def list_names(
    request: AdminRequest,
    wanted: AccountQuery,
    limit: Annotated[int, Query(ge=1, le=MOST_NAMES)] = MOST_NAMES,
) -> ListAnswer[NamedItem]:
    """Every account that matches: for a choice among many, and for changing all of them."""
    return ListAnswer(data=(await account_names(request.panel, wanted))[:limit])


@router.post("", status_code=201, summary="Add an account")
async def add_account(draft: AccountDraft, request: AdminRequest) -> AccountObject:
    created = await request.panel.accounts.add(draft)
    await request.record_change("account.added", audit_target(created), after=audit_side(created))
    return await _account_object(request, created)


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
        "account.updated", audit_target(after), before=audit_side(before), after=audit_side(after)
    )
    return await _account_object(request, after)


@router.delete("/{which}", status_code=204, summary="Remove an account")
async def remove_account(which: str, request: AdminRequest, *, force: bool = False) -> Response:
    """Rejected while tasks run on it, unless `force` is set: then these tasks fail."""
    before = await request.panel.accounts.find(which)
    await request.panel.accounts.remove(which, force=force)
    await request.record_change("account.removed", audit_target(before), before=audit_side(before))
    return Response(status_code=204)


@router.post("/{which}/test", summary="Test an account")
async def test_account(which: str, request: AdminRequest) -> CheckResult:
    """Asks the vendor for the balance, or else for something else that is free of charge."""
    return await check_account(request.panel, await request.panel.accounts.find(which))


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
    await request.record_change("account.added", audit_target(created), after=audit_side(created))
    return await _account_object(request, created)


async def check_account(panel: PanelServices, status: AccountStatus) -> CheckResult:
    """Of a stored account: a passed test is remembered."""
    account_id, began = status.account.id, time.monotonic()
    if panel.pool.is_embedded(account_id):
        return _check_object(AccountCheck("accepted", "it is built in and ready"), began)
    check = await (await panel.pool.provider_by_id(account_id)).check_account()
    await panel.accounts.record_test(account_id, check)
    return _check_object(check, began)


async def check_result(provider: Provider) -> CheckResult:
    began = time.monotonic()
    return _check_object(await provider.check_account(), began)


def _check_object(check: AccountCheck, began: float) -> CheckResult:
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


def audit_target(status: AccountStatus) -> str:
    return f"accounts/{status.account.id}"


def audit_side(status: AccountStatus) -> dict[str, Any]:
    fields = settable_fields(status)
    quota = fields["quota"]
    return fields | {"quota": quota and quota.model_dump()}
