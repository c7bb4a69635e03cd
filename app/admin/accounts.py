"""`/admin/api/accounts`: the pool, looked at and changed."""

import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from app.accounts.drafts import AccountChange, AccountDraft, Secret
from app.accounts.standing import AccountStatus
from app.admin.access import At, OwnerRoute
from app.admin.account_object import accounts_of, settable
from app.admin.masking import masked, unmasked
from app.admin.paging import whole
from app.admin.wishes import Name, Wish
from app.errors import FilmgateError, InvalidRequest
from app.providers.checking import Check

router = APIRouter(route_class=OwnerRoute, prefix="/accounts")
Word = Annotated[str | None, Query(max_length=200)]
Bulk = Literal["enable", "disable", "drain", "clear", "delete", "test"]


class Reason(Wish):
    reason: str = "by the operator"


class Cleared(Wish):
    model: Name | None = None


class NewSecret(Wish):
    secret: Secret = Field(repr=False)


class Duplicate(Wish):
    name: Name
    secret: Secret | None = Field(default=None, repr=False)


class Many(Wish):
    ids: list[str]
    action: Bulk


@router.get("", summary="Accounts")
async def list_accounts(
    at: At, *, q: Word = None, state: Word = None, provider: Word = None, tag: Word = None
) -> dict[str, Any]:
    """All of them, oldest first; `q` is a part of the name, the address or the note."""
    rows = await accounts_of(at.panel, await at.panel.book.all())
    if q:
        needle = q.lower()
        rows = [
            row
            for row in rows
            if any(needle in row[field].lower() for field in ("name", "base_url", "note", "provider"))
        ]
    wanted = {"state": state, "provider": provider}
    rows = [row for row in rows if all(not value or row[name] == value for name, value in wanted.items())]
    return whole([row for row in rows if not tag or tag in row["tags"]])


@router.post("", status_code=201, summary="Add an account")
async def add_account(draft: AccountDraft, at: At) -> dict[str, Any]:
    made = await at.panel.book.add(draft)
    await at.note("account.added", _target(made), after=settable(made))
    return await _shown(at, made)


@router.post("/bulk", summary="Do the same to many accounts")
async def change_many(wish: Many, at: At) -> dict[str, Any]:
    """Each by itself: what can't be done to one is told and does not stop the others."""
    if len(wish.ids) > 1000:
        raise InvalidRequest("ids may hold at most 1000", param="ids")
    return whole([await _one_of_many(at, which, wish.action) for which in wish.ids])


@router.get("/{which}", summary="An account")
async def get_account(which: str, at: At) -> dict[str, Any]:
    return await _shown(at, await at.panel.book.find(which))


@router.patch("/{which}", summary="Change an account")
async def change_account(which: str, change: AccountChange, at: At) -> dict[str, Any]:
    """Only what is sent changes; the secret has its own way, `rotate`."""
    before = await at.panel.book.find(which)
    if change.options is not None:  # what was shown as a mask stays what it is
        options = unmasked(change.options, dict(before.account.options))
        given = {name: getattr(change, name) for name in change.model_fields_set}
        change = AccountChange.model_construct(change.model_fields_set, **given | {"options": options})
    after = await at.panel.book.update(which, change)
    await at.note("account.updated", _target(after), before=settable(before), after=settable(after))
    return await _shown(at, after)


@router.delete("/{which}", status_code=204, summary="Remove an account")
async def remove_account(which: str, at: At, *, force: bool = False) -> Response:
    """Refused while tasks run on it, unless `force`: they then end as failed."""
    before = await at.panel.book.find(which)
    await at.panel.book.remove(which, force=force)
    await at.note("account.removed", _target(before), before=settable(before))
    return Response(status_code=204)


@router.post("/{which}/test", summary="Test an account")
async def test_account(which: str, at: At) -> dict[str, Any]:
    """Its balance where the vendor tells it, else one look; nothing that costs is sent."""
    return await _tested(at, which)


@router.post("/{which}/enable", summary="Put an account back")
async def enable_account(which: str, at: At) -> dict[str, Any]:
    """Ends its cooldowns too."""
    return await _changed(at, which, "account.enabled", change=at.panel.book.enable)


@router.post("/{which}/disable", summary="Take an account out")
async def disable_account(which: str, at: At, *, wish: Reason | None = None) -> dict[str, Any]:
    """What runs on it goes on."""
    reason = (wish or Reason()).reason.strip() or "by the operator"

    async def disable(name: str) -> AccountStatus:
        return await at.panel.book.disable(name, reason=reason)

    return await _changed(at, which, "account.disabled", change=disable)


@router.post("/{which}/drain", summary="Let an account finish, and give it nothing new")
async def drain_account(which: str, at: At) -> dict[str, Any]:
    return await _changed(at, which, "account.drained", change=_drain(at))


@router.post("/{which}/clear", summary="End an account's cooldown")
async def clear_cooldown(which: str, at: At, *, wish: Cleared | None = None) -> dict[str, Any]:
    """Of one upstream model, or every one."""
    model = wish.model if wish else None

    async def clear(name: str) -> AccountStatus:
        return await at.panel.book.clear_cooldown(name, model=model)

    return await _changed(at, which, "account.cooldown_cleared", change=clear)


@router.post("/{which}/rotate", summary="Give an account a new secret")
async def rotate_secret(which: str, wish: NewSecret, at: At) -> dict[str, Any]:
    async def rotate(name: str) -> AccountStatus:
        return await at.panel.book.rotate_secret(name, wish.secret)

    return await _changed(at, which, "account.secret_rotated", change=rotate)


@router.post("/{which}/duplicate", status_code=201, summary="Copy an account under another name")
async def duplicate_account(which: str, wish: Duplicate, at: At) -> dict[str, Any]:
    """With the same secret, unless another is sent."""
    made = await at.panel.book.duplicate(which, name=wish.name, secret=wish.secret)
    await at.note("account.added", _target(made), after=settable(made))
    return await _shown(at, made)


async def _one_of_many(at: At, which: str, action: Bulk) -> dict[str, Any]:
    try:
        message = await _done(at, which, action)
    except FilmgateError as error:
        return {"id": which, "ok": False, "message": error.message}
    return {"id": which, "ok": message is None, "message": message or ""}


async def _done(at: At, which: str, action: Bulk) -> str | None:
    """What went wrong, where that is an answer and no error."""
    if action == "test":
        found = await _tested(at, which)
        return None if found["ok"] else str(found["message"])
    if action == "delete":
        await remove_account(which, at)
        return None
    ways: dict[str, tuple[str, Callable[[str], Awaitable[AccountStatus]]]] = {
        "enable": ("account.enabled", at.panel.book.enable),
        "disable": ("account.disabled", at.panel.book.disable),
        "drain": ("account.drained", _drain(at)),
        "clear": ("account.cooldown_cleared", at.panel.book.clear_cooldown),
    }
    word, change = ways[action]
    await _changed(at, which, word, change=change)
    return None


async def _tested(at: At, which: str) -> dict[str, Any]:
    account = (await at.panel.book.find(which)).account
    began = time.monotonic()
    if at.panel.pool.is_embedded(account.id):
        found = Check("accepted", "it is built in and ready")
    else:
        found = await (await at.panel.pool.provider(account.id)).check()
    balance = {"left": found.balance.left, "unit": found.balance.unit} if found.balance else None
    return {
        "ok": found.verdict in ("accepted", "reachable"),
        "verdict": found.verdict,
        "message": masked(found.text),
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
        "balance": balance,
    }


def _drain(at: At) -> Callable[[str], Awaitable[AccountStatus]]:
    async def drain(name: str) -> AccountStatus:
        await at.panel.book.drain(name)
        return await at.panel.book.find(name)

    return drain


async def _changed(
    at: At, which: str, action: str, *, change: Callable[[str], Awaitable[AccountStatus]]
) -> dict[str, Any]:
    before = await _shown(at, await at.panel.book.find(which))
    after = await _shown(at, await change(which))
    sides = [{name: row[name] for name in ("state", "reason", "secret_hint")} for row in (before, after)]
    await at.note(action, f"accounts/{after['id']}", before=sides[0], after=sides[1])
    return after


async def _shown(at: At, standing: AccountStatus) -> dict[str, Any]:
    return (await accounts_of(at.panel, [standing]))[0]


def _target(standing: AccountStatus) -> str:
    return f"accounts/{standing.account.id}"
