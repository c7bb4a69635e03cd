"""A misbehaving upstream through the whole gateway: the right end, never sent twice, no slot left behind."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.stores import sqlite_store
from tests.tasks.conftest import Bench, replica, settings_for
from tests.upstream import FakeUpstream, closed_port

UNKNOWN = ("failed", "submission_unknown")
MODERATED = {"error": {"message": "no", "code": "moderation_blocked"}}


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


@pytest.fixture
async def bench(tmp_path: Path, upstream: FakeUpstream) -> AsyncIterator[Bench]:
    url = sqlite_store(tmp_path / "test.db")
    settings = settings_for(tmp_path, url, submit_timeout_seconds=2, poll_timeout_seconds=1)
    async with replica(settings, upstream) as made:
        await made.work()
        yield made


async def end_of(bench: Bench, **told: Any) -> tuple[str, str | None]:
    """How a task ends; checked on the way: bought once at most, sent once at most, no slot left."""
    task = await bench.ended(await bench.create(**told), within=60)
    counters = bench.upstream.counters()
    assert all(count == 1 for count in counters.accepted.values()), counters
    assert await bench.slots() == 0
    return task.state, task.error_code


# ---- answers to a submission -------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429},
        {"status": 429, "headers": {"Retry-After": "1"}},
        {"status": 429, "headers": {"Retry-After": "soon"}},
        {"status": 429, "headers": {"Retry-After": "-5"}},
        {"status": 429, "headers": {"retry-after-ms": "10"}},
        {"status": 503},
        {"status": 503, "text": "<h1>busy</h1>"},
    ],
    ids=str,
)
async def test_surely_not_accepted_is_sent_again(bench: Bench, fault: dict[str, Any]) -> None:
    bench.upstream.fault("create", **fault)
    await bench.account()
    assert await end_of(bench) == ("completed", None)
    assert bench.upstream.counters().requests["create"] == 2


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 429, "headers": {"Retry-After": "999999999999"}},
        {"status": 401},
        {"status": 403},
        {"status": 402},
        {"status": 429, "body": {"error": {"message": "no money", "code": "insufficient_quota"}}},
    ],
    ids=str,
)
async def test_another_account_takes_over(bench: Bench, fault: dict[str, Any]) -> None:
    bench.upstream.fault("create", key="secret-of-bad", times=None, **fault)
    await bench.account("bad")
    await bench.account("good")
    ends = [await end_of(bench, prompt=str(number)) for number in range(3)]
    assert ends == [("completed", None)] * 3
    assert bench.upstream.counters().jobs_by_key == {"secret-of-good": 3}


async def test_nobody_left_to_take_it(bench: Bench) -> None:
    bench.upstream.fault("create", status=401, times=None)
    await bench.account()
    assert await end_of(bench) == ("failed", "no_available_account")


@pytest.mark.parametrize("status", [400, 403, 404])
async def test_a_model_that_one_account_may_not_use(bench: Bench, status: int) -> None:
    body = {"error": {"message": "no access to it", "code": "model_not_found"}}
    bench.upstream.fault("create", key="secret-of-basic", status=status, body=body, times=None)
    basic = await bench.account("basic", models={"sora-2": "sora-2"})
    assert await end_of(bench) == ("failed", "no_available_account")
    await bench.account("pro", models={"sora-2": "sora-2"})
    assert await end_of(bench, prompt="again") == ("completed", None)
    [standing] = [one for one in await bench.components.pool.current_statuses() if one.account.id == basic.id]
    assert standing.enabled
    assert [(model, rest.code) for model, rest in standing.cooldowns.items()] == [("sora-2", "forbidden")]


async def test_an_upstream_that_is_not_there(bench: Bench) -> None:
    await bench.account("gone", url=f"http://127.0.0.1:{closed_port()}/v1")
    await bench.account("good")
    ends = [await end_of(bench, prompt=str(number)) for number in range(3)]
    assert ends == [("completed", None)] * 3


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ({"status": 500}, "upstream_error"),
        ({"status": 400}, "invalid_request"),
        ({"status": 400, "body": MODERATED}, "content_policy_violation"),
        ({"status": 307, "headers": {"Location": "/elsewhere"}}, "upstream_error"),
    ],
    ids=str,
)
async def test_its_own_no_is_final(bench: Bench, fault: dict[str, Any], code: str) -> None:
    bench.upstream.fault("create", **fault)
    await bench.account()
    await bench.account("other")
    assert await end_of(bench) == ("failed", code)
    assert set(bench.upstream.counters().submissions.values()) == {1}


LOST_ANSWERS: list[dict[str, Any]] = [
    {"do": "status", "status": 500, "text": "<h1>oops</h1>"},
    {"do": "status", "status": 502},
    {"do": "status", "status": 504, "text": "<h1>timeout</h1>"},
    {"do": "status", "status": 303, "headers": {"Location": "/done"}},
    {"do": "status", "status": 200, "text": "<h1>welcome</h1>"},
    {"do": "hang"},
    {"do": "reset"},
    {"do": "cut"},
    {"do": "garbage"},
]


@pytest.mark.parametrize("accepts", [False, True], ids=["refused", "accepted"])
@pytest.mark.parametrize("fault", LOST_ANSWERS, ids=str)
async def test_a_lost_answer_is_never_sent_again(
    bench: Bench, fault: dict[str, Any], *, accepts: bool
) -> None:
    bench.upstream.fault("create", accepts=accepts, **fault)
    await bench.account()
    await bench.account("other")
    assert await end_of(bench) == UNKNOWN
    assert set(bench.upstream.counters().submissions.values()) == {1}


@pytest.mark.parametrize("accepts", [False, True], ids=["refused", "accepted"])
@pytest.mark.parametrize("fault", [LOST_ANSWERS[1], LOST_ANSWERS[5], LOST_ANSWERS[6]], ids=str)
async def test_a_lost_answer_is_asked_for_where_it_can_be(
    bench: Bench, fault: dict[str, Any], *, accepts: bool
) -> None:
    bench.upstream.script(honour_idempotency=True)
    bench.upstream.fault("create", accepts=accepts, **fault)
    await bench.account(options={"idempotency": True})
    assert await end_of(bench) == ("completed", None)
    assert bench.upstream.counters().jobs == 1


# ---- looks -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "status", "status": 401, "times": 2},
        {"do": "status", "status": 404, "times": 2},
        {"do": "status", "status": 500, "text": "<h1>oops</h1>"},
        {"do": "status", "status": 429, "headers": {"Retry-After": "1"}},
        {"do": "status", "status": 302, "headers": {"Location": "http://127.0.0.1:1/"}},
        {"do": "reset"},
        {"do": "hang"},
        {"do": "cut"},
        {"do": "garbage"},
    ],
    ids=str,
)
async def test_a_look_that_fails_only_delays(bench: Bench, fault: dict[str, Any]) -> None:
    bench.upstream.fault("poll", **fault)
    await bench.account()
    await bench.account("other")
    assert await end_of(bench) == ("completed", None)
    assert len(bench.upstream.counters().jobs_by_key) == 1


async def test_an_upstream_that_forgot_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tasks.lifecycle.LOST_SECONDS", 1.0)
    bench.upstream.fault("poll", status=404, times=None)
    await bench.account(options={"poll_cap_seconds": 0.2})
    assert await end_of(bench) == ("failed", "upstream_lost")


async def test_a_word_never_seen_before_is_running(bench: Bench) -> None:
    bench.upstream.script(statuses=["queued", "simmering", "completed"])
    await bench.account()
    assert await end_of(bench) == ("completed", None)


# ---- results -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"do": "cut"},
        {"do": "status", "status": 404},
        {"do": "status", "status": 200, "text": "<h1>expired</h1>"},
        {"do": "reset"},
        {"do": "hang"},
    ],
    ids=str,
)
async def test_half_a_video_or_none_is_fetched_again(bench: Bench, fault: dict[str, Any]) -> None:
    bench.upstream.fault("content", **fault)
    await bench.account()
    assert await end_of(bench) == ("completed", None)
    assert bench.upstream.counters().jobs == 1


async def test_a_finished_job_that_links_to_something_else(bench: Bench) -> None:
    bench.upstream.script(fields={"url": ""})
    await bench.account()
    assert await end_of(bench) == ("completed", None)


@pytest.mark.slow
async def test_an_answer_that_drips(bench: Bench) -> None:
    bench.upstream.fault("poll", do="drip", delay=0.2)
    await bench.account()
    assert await end_of(bench) == ("completed", None)
