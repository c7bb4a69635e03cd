"""A wait that can't end in time is refused; one that can says why and how long it takes."""

import pytest

from app.errors import (
    NoAvailableAccount,
    UpstreamBusy,
    UpstreamError,
    UpstreamQuotaExhausted,
    UpstreamUnreachable,
)
from app.tasks.admission.waiting import QueuePosition
from tests.tasks.conftest import Bench


@pytest.mark.parametrize(
    ("refusal", "told"),
    [
        (UpstreamQuotaExhausted("402: no credit"), "1 quota exhausted (next in 3600 s)"),
        (UpstreamBusy("429", retry_after=3600), "1 cooling down (next in 3600 s)"),
    ],
    ids=str,
)
async def test_a_wait_that_cannot_end_in_time_is_refused(
    bench: Bench, refusal: UpstreamError, told: str
) -> None:
    """The manual's programs wait for ten minutes; the deadline of a task is an hour."""
    account = await bench.account()
    await bench.components.pool.record_refusal(account.id, "sora-2", refusal)
    with pytest.raises(NoAvailableAccount) as refused:
        await bench.create()
    assert refused.value.message == f"No available tokens for video generation. {told}."
    assert refused.value.retry_after == 8  # as long as an SDK may sleep


@pytest.mark.parametrize(
    ("refusal", "reason", "seconds"),
    [
        (UpstreamQuotaExhausted("402", retry_after=300), "1 quota exhausted", 300),
        (UpstreamBusy("429", retry_after=40), "1 cooling down", 40),
        (UpstreamUnreachable("refused"), "1 cooling down", None),
    ],
    ids=str,
)
async def test_a_waiting_task_says_why_and_how_long(
    bench: Bench, refusal: UpstreamError, reason: str, seconds: float | None
) -> None:
    account = await bench.account()
    await bench.components.pool.record_refusal(account.id, "sora-2", refusal)
    task = await bench.create()
    wait = await bench.components.tasks.account_wait(task)
    assert wait is not None
    assert wait.reason == reason
    assert wait.seconds is not None
    assert seconds is None or wait.seconds == pytest.approx(seconds, abs=5)
    place = await bench.components.tasks.queue_position(task)
    assert place is not None
    assert (place.reason, place.position) == (reason, 1)
    assert place.seconds == pytest.approx(wait.seconds, abs=5)


async def test_a_task_whose_account_was_disabled_since_has_no_time(bench: Bench) -> None:
    account = await bench.account()
    task = await bench.create()
    assert await bench.components.tasks.account_wait(task) is None
    await bench.components.pool.disable(account.id, reason="by the operator")
    wait = await bench.components.tasks.account_wait(task)
    assert wait is not None
    assert (wait.reason, wait.seconds) == ("1 disabled", None)
    assert QueuePosition(3, 3, 20.0).behind(wait) == QueuePosition(3, 3, None, "1 disabled")


async def test_a_task_that_was_accepted_waits_for_a_rest_that_is_too_long_for_a_new_one(bench: Bench) -> None:
    account = await bench.account()
    await bench.create()
    await bench.components.pool.record_refusal(account.id, "sora-2", UpstreamBusy("429", retry_after=900))
    assert await bench.components.catalog.able_account_ids("video", "sora-2") == {account.id}
    with pytest.raises(NoAvailableAccount):
        await bench.create()
