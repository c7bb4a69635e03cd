"""`/admin/api/accounts/bulk`, `/test` and `/restore`: many accounts at once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Literal

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import Field

from app.accounts.bulk_changes import BulkAction, BulkEdit, BulkOutcome, change_many
from app.accounts.removal import put_back
from app.accounts.status import AccountStatus
from app.admin.access import AdminContext, AdminRequest, AdminRoute
from app.admin.accounts import audit_side, audit_target, check_account
from app.admin.bodies import ListAnswer, NamedItem, PanelAnswer, PanelBody
from app.admin.panel import PanelServices
from app.db.connection import AsyncConnection
from app.errors import FilmgateError, NotFound

router = APIRouter(route_class=AdminRoute, prefix="/accounts")
MOST_AT_ONCE = 10_000
TESTS_AT_ONCE = 24
"""Accounts that one request tests at the same time."""
TEST_SECONDS = 60.0
AUDIT_WORDS = {
    "enable": "account.enabled",
    "disable": "account.disabled",
    "drain": "account.drained",
    "clear": "account.cooldown_cleared",
    "delete": "account.removed",
    "edit": "account.updated",
}


class AccountIds(PanelBody):
    ids: list[str] = Field(max_length=MOST_AT_ONCE)


class BulkBody(AccountIds):
    """``edit`` belongs to the action of that name."""

    action: BulkAction | Literal["test"]
    edit: BulkEdit | None = None


class BulkResult(PanelAnswer):
    """What came of the action for one account; ``code`` and ``message`` say why it failed."""

    id: str
    ok: bool
    code: str
    message: str
    reason: str | None = None


class TestResult(BulkResult):
    """One line of a test of many: ``verdict`` as for one account."""

    verdict: str
    milliseconds: float


@router.post("/bulk", summary="Change several accounts")
async def change_accounts(body: BulkBody, request: AdminRequest) -> ListAnswer[BulkResult]:
    """In one transaction. A failure is reported in the row of its account and does not stop the others.

    What `delete` deletes, `/accounts/restore` brings back within ten minutes.
    """
    if body.action == "test":
        rows: list[BulkResult] = [row async for row in tested_accounts(request, body.ids)]
        order = {which: number for number, which in enumerate(body.ids)}
        return ListAnswer(data=sorted(rows, key=lambda row: order[row.id]))
    action: BulkAction = body.action

    async def record(connection: AsyncConnection, outcomes: Sequence[BulkOutcome]) -> None:
        for outcome in outcomes:
            await _record_outcome(request, connection, action, outcome=outcome)

    outcomes = await change_many(request.panel.pool, body.ids, action, record=record, edit=body.edit)
    return ListAnswer(data=[_bulk_result(outcome) for outcome in outcomes])


@router.post(
    "/test",
    summary="Test several accounts",
    responses={200: {"model": TestResult, "content": {"application/x-ndjson": {}}}},
)
async def test_accounts(body: AccountIds, request: AdminRequest) -> StreamingResponse:
    """A line of JSON for each account, as soon as it is known; several are tested at the same time.

    When the client closes the connection, what was not tested stays untested.
    """

    async def lines() -> AsyncIterator[str]:
        async for row in tested_accounts(request, body.ids):
            yield row.model_dump_json() + "\n"

    # Proxies and compression must pass each line on at once.
    headers = {"cache-control": "no-store", "x-accel-buffering": "no", "content-encoding": "identity"}
    return StreamingResponse(lines(), media_type="application/x-ndjson", headers=headers)


@router.post("/restore", summary="Undo the deletion of accounts")
async def restore_accounts(body: AccountIds, request: AdminRequest) -> ListAnswer[NamedItem]:
    """All of them or none, within ten minutes, with secret, cooldowns and record."""
    names = await put_back(request.panel.pool, body.ids)
    restored = [NamedItem(id=which, name=name) for which, name in zip(body.ids, names, strict=True)]
    await request.record_change(
        "accounts.restored", "accounts", after={"names": [item.name for item in restored]}
    )
    return ListAnswer(data=restored)


async def tested_accounts(request: AdminContext, ids: Sequence[str]) -> AsyncIterator[TestResult]:
    """The result of each account, in the order in which they are known."""
    places = asyncio.Semaphore(TESTS_AT_ONCE)
    known = {status.account.id: status for status in await request.panel.accounts.list_all()}

    async def test_one(which: str) -> TestResult:
        async with places:
            return await _test_result(request.panel, which, known.get(which))

    tests = [asyncio.create_task(test_one(which)) for which in dict.fromkeys(ids)]
    try:
        for test in asyncio.as_completed(tests):
            yield await test
    finally:
        for task in tests:
            task.cancel()
        await asyncio.gather(*tests, return_exceptions=True)


async def _test_result(panel: PanelServices, which: str, status: AccountStatus | None) -> TestResult:
    def failed(code: str, message: str) -> TestResult:
        return TestResult(id=which, ok=False, code=code, message=message, verdict="unknown", milliseconds=0)

    if status is None:
        return failed(NotFound.code, f"There is no account {which}.")
    try:
        async with asyncio.timeout(TEST_SECONDS):
            check = await check_account(panel, status)
    except TimeoutError:
        return failed("timeout", f"no answer within {TEST_SECONDS:.0f} seconds")
    except FilmgateError as error:
        return failed(error.code, error.message)
    return TestResult(
        id=which,
        ok=check.ok,
        code="" if check.ok else check.verdict,
        message=check.message,
        verdict=check.verdict,
        milliseconds=check.milliseconds,
    )


async def _record_outcome(
    request: AdminContext, connection: AsyncConnection, action: BulkAction, *, outcome: BulkOutcome
) -> None:
    assert outcome.before is not None
    before, after = audit_side(outcome.before), None
    if outcome.change is not None:
        fields = outcome.change.model_fields_set - {"proxy"}
        draft = outcome.change.applied_to(outcome.before)
        after = {name: getattr(draft, name) for name in sorted(fields)}
        after = {
            name: sorted(value) if isinstance(value, frozenset) else value for name, value in after.items()
        }
        before = {name: before[name] for name in after}
        if "proxy" in outcome.change.model_fields_set:
            after["proxy"] = "another one" if draft.proxy else None
    elif action != "delete":
        before = {"enabled": outcome.before.enabled, "reason": outcome.before.disabled_reason}
    await request.panel.audit.record(
        connection,
        request.actor.name,
        AUDIT_WORDS[action],
        target=audit_target(outcome.before),
        before=before,
        after=after,
    )


def _bulk_result(outcome: BulkOutcome) -> BulkResult:
    problem = outcome.problem
    return BulkResult(
        id=outcome.account_id,
        ok=outcome.ok,
        code=problem.code if problem else "",
        message=problem.message if problem else "",
        reason=problem.reason if problem else None,
    )
