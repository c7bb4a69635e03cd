"""Limits of an account: slots by kind, submissions per minute, its expiry, its tags."""

import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from app.accounts import limits
from app.accounts.definition import AccountDraft
from app.catalog.explanation import explain_accounts
from app.errors import InvalidRequest, NoAvailableAccount
from app.providers.base import Account
from app.validation import validate_document
from tests.accounts.waiting import account_status, accounts_by_task, admission, create_tasks, let_time_pass
from tests.tasks.conftest import Bench


async def test_slots_are_counted_by_kind(bench: Bench) -> None:
    await bench.account(slots=2, limits={"image": 1})
    await create_tasks(bench, 4)
    await create_tasks(bench, 4, kind="image", model="gpt-image")
    assert await admission(bench).admit() == 3
    kinds = Counter([(await task_of(bench, task_id)).kind for task_id in await accounts_by_task(bench)])
    assert kinds == {"video": 2, "image": 1}


async def task_of(bench: Bench, task_id: str) -> Any:
    return await bench.components.repository.get(task_id)


async def test_submissions_a_minute(bench: Bench) -> None:
    await bench.account(slots=20, rpm=3)
    await create_tasks(bench, 8)
    by = admission(bench)
    assert [await by.admit(), await by.admit()] == [3, 0]
    [reason] = await explain_accounts(bench.components.catalog, "video", "sora-2")
    assert (reason.verdict, reason.text) == ("busy", "3 of 3 submissions of this minute are used")
    await let_time_pass(bench, 61)
    assert await by.admit() == 3


@pytest.fixture(params=["UTC", "Asia/Shanghai", "America/Los_Angeles"])
def zone(request: pytest.FixtureRequest) -> Iterator[str]:
    """The time zone of this machine."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = request.param
    time.tzset()
    yield request.param
    os.environ.pop("TZ")
    if before is not None:
        os.environ["TZ"] = before
    time.tzset()


@pytest.mark.parametrize("form", ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%SZ", "%Y-%m-%dT%H:%M:%S+00:00"])
@pytest.mark.parametrize(("minutes", "usable"), [(-1, False), (1, True)])
def test_an_expiry_date_is_utc_in_every_time_zone(
    zone: str, form: str, minutes: int, *, usable: bool
) -> None:
    text = (datetime.now(UTC) + timedelta(minutes=minutes)).strftime(form)
    draft = validate_document(
        AccountDraft, {"provider": "openai_compatible", "name": zone, "expires_at": text}, whole="account"
    )
    assert draft.expires_at is not None
    assert (draft.expires_at > time.time()) is usable


async def test_an_expired_account_gets_nothing_new_and_finishes_what_it_has(bench: Bench) -> None:
    bench.upstream.script(job_seconds=0.5)
    await bench.account(expires_at=time.time() + 100)
    await bench.work()
    task = await bench.create()
    await bench.reaches(task, "running")
    await let_time_pass(bench, 101)
    with pytest.raises(NoAvailableAccount, match=r"1 expired\.$"):
        await bench.create()
    assert (await bench.ended(task)).state == "completed"


@pytest.mark.parametrize(
    ("tags", "model", "serves"),
    [
        ((), "sora-2", True),
        ((), "sora-2-pro", False),
        ((), "sora_video2-landscape-hd", False),
        (("pro",), "sora_video2-landscape-hd", True),
        (("all",), "sora-2-pro", True),
    ],
)
async def test_a_capability_is_a_tag(
    bench: Bench, tags: tuple[str, ...], model: str, *, serves: bool
) -> None:
    await bench.account(tags=frozenset(tags))
    await bench.components.catalog.current_statuses()
    assert bool(bench.components.catalog.candidates("video", model)) is serves


async def test_a_task_without_accounts_fails_at_its_deadline_with_the_reason(bench: Bench) -> None:
    account = await bench.account()
    task = await bench.create()
    await bench.components.pool.disable(account.id, reason="401: no such key")
    async with bench.components.database.write() as connection:
        await connection.execute(sa.text("UPDATE tasks SET deadline_at = 1"))
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.error_code, ended.error_message) == (
        "no_available_account",
        "No available tokens for video generation. 1 disabled.",
    )


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"weight": 0}, "weight"),
        ({"weight": "inf"}, "weight"),
        ({"slots": -1}, "slots"),
        ({"rpm": 0}, "rpm"),
        ({"limits": {"film": 1}}, "limits"),
        ({"quota": {"limit": -1}}, "quota.limit"),
        ({"quota": {"limit": 1, "period": "week"}}, "quota.period"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"proxy": "socks5://host:1"}, "proxy"),
        ({"proxy": "http://host:99999"}, "proxy"),
        ({"name": ""}, "name"),
        ({"name": "a\0b"}, "name"),
        ({"colour": "red"}, "colour"),
    ],
    ids=str,
)
def test_an_invalid_draft_names_its_field(told: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        validate_document(
            AccountDraft, {"provider": "openai_compatible", "name": "x"} | told, whole="account"
        )
    assert (refused.value.param or "").startswith(field)


async def test_statistics_keep_the_last_fifty_outcomes(bench: Bench) -> None:
    account: Account = await bench.account()
    task = await bench.create()
    leaving = limits.LeavingTask(
        task.id, account.id, sent=True, state="completed", started_at=10.0, finished_at=14.0
    )
    async with bench.components.database.write() as connection:
        for _ in range(limits.OUTCOMES_KEPT + 5):
            await limits.release_accounts(connection, [leaving])
        failed = replace(leaving, state="failed", error_code="upstream_error")
        await limits.release_accounts(connection, [failed])
    found = (await account_status(bench, "upstream")).statistics
    assert (found.successes, found.failures, found.average_seconds) == (55, 1, 4.0)
    assert (len(found.outcomes), found.outcomes[0], found.outcomes[-1]) == (50, "completed", "upstream_error")
