"""A vendor's own word that its work failed goes on elsewhere where the route says so: one task, and one reservation."""

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from app.catalog.route_documents import read_route
from app.db.operator_tables import attempts
from app.db.tables import accounts, keys, ledger, tasks, usage
from app.errors import InvalidRequest
from app.providers.base import Operation
from app.providers.model_facts import ModelFacts
from app.tasks.attempts import Attempt, EndedAttempt, go_on, list_attempts
from app.tasks.billing import NOT_MADE
from app.tasks.receipt_files import set_aside
from app.tasks.repository import StaleRun
from app.tasks.task import Task
from tests.tasks.conftest import Bench, until
from tests.tasks.test_billing import PURSE, kinds, money, priced, rows
from tests.upstream import FakeUpstream

PRICE, NOTHING = Decimal("0.15"), Decimal(0)
BROKEN = {"code": "server_error", "message": "The machine fell over."}
MODERATED = {"code": "moderation_blocked", "message": "Not this one."}
RETIRED = {"code": "model_deprecated", "message": "This model has been retired."}
QUICK: dict[str, Any] = {"poll_cap_seconds": 0.05}


@pytest.fixture
def second() -> Iterator[FakeUpstream]:
    with FakeUpstream() as server:
        yield server


async def route(bench: Bench, *candidates: dict[str, Any], **fields: Any) -> None:
    document = {"model": "sora-2", "candidates": list(candidates), **fields}
    await bench.components.catalog.routes.put(read_route(document))


async def house(
    bench: Bench, second: FakeUpstream, *, options: dict[str, Any] | None = None, **retry: int
) -> None:
    """``first`` at the upstream that a test breaks, then ``second`` at one that works."""
    await bench.account("first", options=QUICK | (options or {}))
    await bench.account("second", url=f"{second.url}/v1", options=QUICK)
    await priced(bench)
    await route(bench, {"account": "first"}, {"account": "second"}, **({"retry": retry} if retry else {}))


async def run(bench: Bench, **told: Any) -> Task:
    task = await bench.create(**told)
    await bench.work()
    return await bench.ended(task)


async def told(bench: Bench, task: Task) -> list[tuple[str | None, str | None, str | None]]:
    """By attempt: the account's name, the verdict, the vendor's word."""
    names = {row.id: row.name for row in await rows(bench, accounts)}
    found = await list_attempts(bench.components.database, task)
    return [(names.get(each.account_id or ""), each.verdict, each.word) for each in found]


def jobs(*upstreams: FakeUpstream) -> list[int]:
    return [each.counters().jobs for each in upstreams]


async def test_a_failure_goes_on_elsewhere_and_is_told_as_one_task(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=2)
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.error_code) == ("completed", 2, None)
    assert await told(bench, ended) == [
        ("first", "failed", "The machine fell over."),
        ("second", "completed", None),
    ]
    assert jobs(bench.upstream, second) == [1, 1]
    assert await kinds(bench, ended) == ["reserve", "settle"]
    assert (await money(bench), ended.cost) == ((NOTHING, PRICE), PRICE)
    assert await bench.slots() == 0
    assert len(await rows(bench, usage)) == 1
    events = await bench.timeline(ended)
    assert "failed" not in events and events.count("dispatched") == 2
    [told_why] = [
        r for r in await bench.components.repository.read_timeline(ended.id) if r["event"] == "attempt.ended"
    ]
    assert told_why["detail"] == {"because": "The machine fell over.", "code": "upstream_error", "attempt": 2}
    first = next(row for row in await rows(bench, accounts) if row.name == "first")
    assert (first.failures, json.loads(first.outcomes)) == (1, ["upstream_error"])


async def test_each_attempt_is_a_row_with_its_times_and_the_vendors_id(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=1)
    ended = await run(bench)
    before, last = await list_attempts(bench.components.database, ended)
    assert (before.number, before.provider, before.model, before.cost) == (
        1,
        "openai_compatible",
        "sora-2",
        NOTHING,
    )
    assert before.operation is not None and before.operation in bench.upstream.counters().polls
    assert before.began_at is not None and before.ended_at is not None
    assert ended.created_at <= before.began_at <= before.ended_at
    assert last.began_at is not None and last.ended_at is not None
    assert before.ended_at <= last.began_at <= last.ended_at
    assert last.operation in second.counters().polls
    assert (last.number, last.cost) == (2, PRICE)


async def test_without_the_routes_word_it_ends(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second)
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.error_code) == ("failed", 1, "upstream_error")
    assert (jobs(bench.upstream, second), await rows(bench, attempts)) == ([1, 0], [])
    assert await money(bench) == (NOTHING, NOTHING)


async def test_each_verdict_has_its_own_count(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=MODERATED)
    await house(bench, second, failed=3)
    assert (await run(bench)).error_code == "content_policy_violation"
    assert jobs(bench.upstream, second) == [1, 0]


async def test_what_moderation_stopped_is_made_by_another_vendor(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=MODERATED)
    await house(bench, second, moderated=1)
    ended = await run(bench)
    assert (ended.state, ended.attempt) == ("completed", 2)
    assert (await told(bench, ended))[0] == ("first", "moderated", "Not this one.")


async def test_moderation_is_not_asked_again_with_another_key_of_the_same_vendor(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=MODERATED)
    await house(bench, second, moderated=3)
    await bench.account("first too", options=QUICK)
    steps = [{"account": name} for name in ("first", "first too", "second")]
    await route(bench, *steps, retry={"moderated": 3})
    ended = await run(bench)
    assert (ended.state, jobs(bench.upstream, second)) == ("completed", [1, 1])


async def test_a_submission_that_moderation_refused_goes_on_too(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.fault("create", status=400, body={"error": MODERATED}, times=None)
    await house(bench, second, moderated=1)
    ended = await run(bench)
    assert (ended.state, ended.attempt, jobs(bench.upstream, second)) == ("completed", 2, [0, 1])
    before, _ = await list_attempts(bench.components.database, ended)
    assert (before.verdict, before.operation) == ("moderated", None)
    assert await kinds(bench, ended) == ["reserve", "settle"]


async def test_nobody_is_asked_twice_for_what_moderation_stopped(bench: Bench, second: FakeUpstream) -> None:
    for upstream in (bench.upstream, second):
        upstream.script(final="failed", error=MODERATED)
    await house(bench, second, moderated=5)
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.error_code) == ("failed", 2, "content_policy_violation")
    assert jobs(bench.upstream, second) == [1, 1]
    assert "retry.refused" in await bench.timeline(ended)
    assert await kinds(bench, ended) == ["reserve", "release"]


async def test_a_retired_model_leads_to_the_next_step(bench: Bench, second: FakeUpstream) -> None:
    """Not to another account of the step, which would ask the same vendor for the same model."""
    bench.upstream.fault("create", status=404, body={"error": RETIRED}, times=None)
    await bench.account("first", options=QUICK)
    await bench.account("first too", options=QUICK)
    await bench.account("second", url=f"{second.url}/v1", options=QUICK)
    await priced(bench)
    step = [
        {"account": "first", "model": "old-film", "order": 0},
        {"account": "first too", "model": "old-film", "order": 0},
    ]
    await route(bench, *step, {"account": "second", "model": "new-film", "order": 1}, retry={"retired": 1})
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.upstream_model) == ("completed", 2, "new-film")
    assert bench.upstream.counters().requests["create"] == 1
    assert (await told(bench, ended))[0][1] == "retired"


async def test_a_model_that_its_vendor_no_longer_knows_after_its_last_day_is_retired(
    bench: Bench, second: FakeUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = ModelFacts.model_construct(retires=date(2020, 1, 1), successor="")
    monkeypatch.setattr(
        "app.catalog.retirements._retiring", lambda _provider, model: over if model == "sora-2" else None
    )
    bench.upstream.fault(
        "create", status=404, body={"error": {"code": "model_not_found", "message": "?"}}, times=None
    )
    await house(bench, second, retired=1)
    ended = await run(bench)
    assert (ended.state, ended.attempt, jobs(second)) == ("completed", 2, [1])
    assert (await told(bench, ended))[0][1] == "retired"


async def test_whoever_failed_is_asked_again_when_nobody_else_can_serve(bench: Bench) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await bench.account("first", options=QUICK)
    await priced(bench)
    await route(bench, {"account": "first"}, retry={"failed": 1})
    ended = await run(bench)
    assert (ended.state, ended.attempt, jobs(bench.upstream)) == ("failed", 2, [2])
    keys = bench.upstream.counters().accepted
    assert keys in ({}, {f"filmgate-{ended.id}": 1, f"filmgate-{ended.id}-2": 1})
    assert await kinds(bench, ended) == ["reserve", "release"]


async def test_a_vendor_that_keeps_keys_makes_the_next_attempt_anew(bench: Bench) -> None:
    bench.upstream.script(final="failed", error=BROKEN, honour_idempotency=True)
    await bench.account("first", options=QUICK | {"idempotency": True})
    await route(bench, {"account": "first"}, retry={"failed": 1})
    ended = await run(bench)
    assert bench.upstream.counters().accepted == {f"filmgate-{ended.id}": 1, f"filmgate-{ended.id}-2": 1}


async def test_those_that_failed_take_turns(bench: Bench, second: FakeUpstream) -> None:
    for upstream in (bench.upstream, second):
        upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=2)
    ended = await run(bench)
    assert [each[0] for each in await told(bench, ended)] == ["first", "second", "first"]
    assert (ended.state, jobs(bench.upstream, second)) == ("failed", [2, 1])


async def test_own_hardware_goes_on_without_a_word_of_the_route(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, options={"own_hardware": True})
    assert (await run(bench)).state == "completed"
    assert jobs(bench.upstream, second) == [1, 1]


async def test_a_route_may_forbid_it_to_own_hardware(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, options={"own_hardware": True}, failed=0)
    assert (await run(bench)).state == "failed"
    assert jobs(bench.upstream, second) == [1, 0]


@pytest.mark.parametrize(
    "fault", [{"status": 500, "body": {"error": BROKEN}}, {"do": "reset", "accepts": True}]
)
async def test_an_answer_that_leaves_open_what_came_of_it_never_goes_on(
    bench: Bench, second: FakeUpstream, fault: dict[str, Any]
) -> None:
    bench.upstream.fault("create", **fault, times=None)
    await house(bench, second, options={"own_hardware": True}, failed=5, moderated=5, retired=5)
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.money, jobs(second)) == ("failed", 1, "held", [0])


@pytest.mark.parametrize("state", ["cancelled", "expired"])
async def test_what_somebody_cancelled_or_let_expire_has_not_failed(
    bench: Bench, second: FakeUpstream, state: str
) -> None:
    bench.upstream.script(statuses=["in_progress", state])
    await house(bench, second, failed=5)
    ended = await run(bench)
    assert (ended.state, ended.attempt, jobs(second)) == ("failed", 1, [0])


# ---- money ---------------------------------------------------------------------------------------


async def test_what_a_failed_attempt_cost_is_charged_beside_the_next(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 4})
    await house(bench, second, failed=1)
    await priced(bench, per_call="0.15", per_unit={"credits": "0.01"})
    task = await bench.create()
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, ended.cost) == ("completed", Decimal("0.19"))
    assert await kinds(bench, ended) == ["reserve", "attempt", "settle"]
    assert await money(bench) == (NOTHING, Decimal("0.19"))
    costs = [each.cost for each in await list_attempts(bench.components.database, ended)]
    assert costs == [Decimal("0.04"), PRICE]
    names = {row.id: row.name for row in await rows(bench, accounts)}
    used = {names[row.account_id]: (row.path, row.status, row.cost) for row in await rows(bench, usage)}
    assert used == {
        "first": ("attempts/video", 502, Decimal("0.04")),
        "second": ("tasks/video", 200, PRICE),
    }


async def test_the_costs_of_several_attempts_add_up(bench: Bench) -> None:
    bench.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 4})
    await bench.account("first", options=QUICK)
    await priced(bench, per_call="0.15", per_unit={"credits": "0.01"})
    await route(bench, {"account": "first"}, retry={"failed": 2})
    ended = await run(bench)
    assert (ended.state, ended.attempt, ended.cost) == ("failed", 3, Decimal("0.12"))
    assert await money(bench) == (NOTHING, Decimal("0.12"))
    found = {row.kind: row.amount for row in await rows(bench, ledger)}
    assert found == {"reserve": PRICE, "attempt": Decimal("0.08"), "settle": Decimal("0.04")}
    assert [each.cost for each in await list_attempts(bench.components.database, ended)] == [
        Decimal("0.04")
    ] * 3


async def test_a_budget_that_does_not_cover_another_attempt_ends_the_task(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 10})
    await house(bench, second, failed=1)
    await priced(bench, per_call="0.45", per_unit={"credits": "0.01"})
    poor = PURSE.model_copy(update={"id": "poor"})
    async with bench.components.database.write() as connection:
        row = {
            "id": "poor",
            "name": "poor",
            "hash": "0" * 64,
            "created_at": 1.0,
            "budget_total": Decimal("0.5"),
        }
        await connection.execute(keys.insert().values(row))
    task = await bench.create(key=poor)
    await bench.work()
    ended = await bench.ended(task)
    assert (ended.state, ended.attempt, ended.error_code, jobs(second)) == (
        "failed",
        1,
        "upstream_error",
        [0],
    )
    assert (await kinds(bench, ended), await money(bench, poor)) == (
        ["reserve", "settle"],
        (NOTHING, Decimal("0.1")),
    )
    assert "retry.refused" in await bench.timeline(ended)


@pytest.mark.parametrize(("most", "attempts_made"), [("0.18", 1), ("0.19", 2)])
async def test_what_a_client_will_pay_at_most_is_for_all_attempts(
    bench: Bench, second: FakeUpstream, most: str, attempts_made: int
) -> None:
    bench.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 4})
    await house(bench, second, failed=1)
    await priced(bench, per_call="0.15", per_unit={"credits": "0.01"})
    ended = await run(bench, max_cost=Decimal(most))
    assert (ended.attempt, ended.state) == (attempts_made, "completed" if attempts_made == 2 else "failed")
    assert ended.cost is not None and ended.cost <= Decimal(most)
    assert ("retry.refused" in await bench.timeline(ended)) == (attempts_made == 1)
    assert (await money(bench))[0] == NOTHING


async def test_an_unknown_end_of_the_second_attempt_holds_one_reservation(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    second.fault("create", do="reset", accepts=True)
    await house(bench, second, failed=1)
    ended = await run(bench)
    assert (ended.error_code, ended.money, ended.attempt) == ("submission_unknown", "held", 2)
    assert (await kinds(bench, ended), await money(bench)) == (["reserve"], (PRICE, NOTHING))
    await bench.components.money.billing.settle_held(ended.id, Decimal("0.1"))
    assert await money(bench) == (NOTHING, Decimal("0.1"))


# ---- cancels, deadlines, late runs ----------------------------------------------------------------


async def between(bench: Bench, task: Task) -> Task:
    """Until the first attempt is over, and the next has no account yet."""

    async def waits() -> Task | None:
        found = await bench.components.repository.get(task.id)
        return found if found is not None and found.attempt == 2 and found.state == "queued" else None

    found: Task = await until(waits)
    return found


async def test_a_cancel_between_attempts(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    second.fault("create", status=503, times=None)
    await house(bench, second, failed=1)
    task = await bench.create()
    await bench.work()
    waiting = await between(bench, task)
    cancelled = await bench.components.tasks.cancel(waiting)
    ended = await bench.ended(cancelled)
    assert (ended.state, ended.attempt) == ("cancelled", 2)
    assert (await kinds(bench, ended), await money(bench)) == (["reserve", "release"], (NOTHING, NOTHING))
    assert (jobs(bench.upstream, second), await bench.slots()) == ([1, 0], 0)


async def test_the_deadline_holds_for_all_attempts(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    second.script(statuses=["in_progress"])
    await house(bench, second, failed=1)
    task = await bench.create()
    await bench.work()

    async def runs_again() -> Task | None:
        found = await bench.components.repository.get(task.id)
        return found if found is not None and found.attempt == 2 and found.state == "running" else None

    later: Task = await until(runs_again)
    accepted = next(
        row["at"]
        for row in await bench.components.repository.read_timeline(task.id)
        if row["event"] == "running"
    )
    assert later.deadline_at <= accepted + 3600 + 1
    assert later.started_at is not None and later.deadline_at < later.started_at + 3600
    await bench.components.tasks.cancel(later)
    await bench.ended(later)


async def test_a_run_that_comes_late_ends_no_attempt_a_second_time(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(statuses=["in_progress"])
    await house(bench, second, failed=1)
    await priced(bench, per_call="0.15", per_unit={"credits": "0.01"})
    task = await bench.create()
    await bench.work()
    frozen = await bench.reaches(task, "running")
    bench.upstream.script(final="failed", error=BROKEN, failed_usage={"credits": 4})
    ended = await bench.ended(task)
    word = EndedAttempt("failed", "upstream_error", "late", NOT_MADE, "[]", 0.0)
    with pytest.raises(StaleRun):
        await go_on(bench.components.database, frozen, state="running", ended=word)
    assert await kinds(bench, ended) == ["reserve", "attempt", "settle"]
    assert await money(bench) == (NOTHING, Decimal("0.19"))


async def test_a_late_receipt_of_an_earlier_attempt_is_never_taken_for_the_next(
    bench: Bench, second: FakeUpstream
) -> None:
    bench.upstream.script(statuses=["in_progress"])
    second.fault("create", status=503, times=None)
    await house(bench, second, failed=1)
    task = await bench.create()
    await bench.work()
    frozen = await bench.reaches(task, "running")
    bench.upstream.script(final="failed", error=BROKEN)
    await between(bench, task)
    repository = bench.components.repository
    with pytest.raises(StaleRun):
        await repository.accept(frozen, Operation(id="late"), now=1.0, deadline_at=2.0)
    assert await repository.latest_receipt(task.id) is None


async def test_files_of_receipts_have_a_name_for_each_attempt(bench: Bench) -> None:
    large = Operation(id="picture", data={"bytes": "x" * 40_000})
    store = bench.components.store
    first, next_one = [await set_aside(store, "0" * 32, large, attempt=number) for number in (1, 2)]
    assert first.data != next_one.data


async def test_a_plain_task_is_told_as_one_attempt(bench: Bench) -> None:
    await bench.account("first", options=QUICK)
    ended = await run(bench)
    [only] = await list_attempts(bench.components.database, ended)
    assert isinstance(only, Attempt)
    assert (only.number, only.verdict, only.provider) == (1, "completed", "openai_compatible")
    assert await rows(bench, attempts) == []


# ---- what is written, and goes ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("retry", "field"),
    [
        ({"failed": 6}, "retry.failed"),
        ({"failed": "2"}, "retry.failed"),
        ({"lost": 1}, "retry.lost"),
        (3, "retry"),
    ],
)
def test_a_route_names_the_field_that_is_wrong(retry: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_route({"model": "sora-2", "candidates": [{"any": True}], "retry": retry})
    assert refused.value.param == field


def test_an_alias_has_no_retry_of_its_own() -> None:
    with pytest.raises(InvalidRequest, match="retry belongs to the route"):
        read_route({"model": "cheap", "alias_of": "sora-2", "retry": {"failed": 1}})


async def test_an_alias_goes_on_as_its_route_says(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=1)
    await bench.components.catalog.routes.put(read_route({"model": "cheap", "alias_of": "sora-2"}))
    assert (await run(bench, model="cheap")).state == "completed"


async def test_many_at_once_settle_each_for_itself(bench: Bench, second: FakeUpstream) -> None:
    bench.upstream.script(final="failed", error=BROKEN)
    await house(bench, second, failed=1)
    made = await asyncio.gather(*(bench.create(f"film {n}") for n in range(12)))
    await bench.work()
    ended = [await bench.ended(task) for task in made]
    assert {(task.state, task.attempt) for task in ended} == {("completed", 2)}
    assert await money(bench) == (NOTHING, 12 * PRICE)
    assert second.counters().prompts == {f"film {n}": 1 for n in range(12)}
    assert len([row for row in await rows(bench, tasks) if row.money == "settled"]) == 12
