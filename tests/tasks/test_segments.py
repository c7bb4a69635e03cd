"""A film that its upstream makes only in pieces: the pieces, their money, and the one film in the end."""

import hashlib
import json
from decimal import Decimal
from io import BytesIO
from typing import Any

import av
import numpy as np
import pytest
import sqlalchemy as sa

from app import clock
from app.catalog.price import read_price
from app.catalog.route_documents import read_route
from app.db.tables import ledger, tasks
from app.errors import InsufficientQuota, InvalidRequest, NotFound
from app.generation import Shot
from app.keys.key import ClientKey
from app.signed_documents import read_jwks, read_signed
from app.tasks.attempts import list_attempts
from app.tasks.prompt_removal import remove_prompts
from app.tasks.pruning import tend_segments
from app.tasks.segments.rows import FilmSegment, read_segments
from app.tasks.task import Task
from tests.tasks.conftest import KEY, Bench, until
from tests.tasks.test_billing import money

PROMPT = "A kite rises. It sails over a lake. Night falls. It lands."
ROUTE = {"model": "sora-2", "candidates": [{"provider": "openai_compatible", "lengths": "join"}]}


async def joining(
    bench: Bench, *, price: str = "0.1", seconds: tuple[int, int] = (4, 8), **told: Any
) -> None:
    """An upstream of at most eight seconds, which makes films as long as it is asked for, at $0.10 a second."""
    bench.upstream.script(film_as_asked=True, **told)
    await bench.account(options={"capabilities": {"seconds": seconds}, "poll_cap_seconds": 0.05})
    await bench.components.catalog.routes.put(read_route(ROUTE))
    await bench.components.money.prices.set_price("sora-2", read_price({"per_second": {"*": price}}))


async def parts(bench: Bench, film: Task) -> list[FilmSegment]:
    return await read_segments(bench.components.database, film.id)


async def film_bytes(bench: Bench, film: Task) -> bytes:
    assert film.result is not None
    return await bench.components.store.get(film.result.files[0].key)


def picture_times(content: bytes) -> list[float]:
    with av.open(BytesIO(content)) as clip:
        return [frame.time or 0.0 for frame in clip.decode(video=0)]


async def test_a_long_film_is_joined_of_segments_that_go_on_from_each_other(bench: Bench) -> None:
    await joining(bench)
    film = await bench.create(PROMPT, seconds=25)
    assert await money(bench) == (Decimal("2.5"), Decimal(0))
    asked = await parts(bench, film)
    assert [each.task.request.seconds for each in asked] == [7, 6, 6, 6]
    assert [each.waits_its_turn for each in asked] == [False, True, True, True]
    await bench.work()
    ended = await bench.ended(film)
    assert ended.state == "completed", ended.error_message
    times = picture_times(await film_bytes(bench, ended))
    assert len(times) == 25 * 8  # pictures a second
    assert np.diff(times).min() > 0.12 and np.diff(times).max() < 0.13
    assert ended.result is not None and ended.result.files[0].seconds == pytest.approx(25, abs=0.1)
    made = await parts(bench, film)
    assert [each.task.request.prompt for each in made] == [
        "A kite rises.", "It sails over a lake.", "Night falls.", "It lands.",
    ]  # fmt: skip
    assert [len(each.task.request.media_with("first_frame")) for each in made] == [0, 1, 1, 1]
    counters = bench.upstream.counters()
    assert counters.jobs == 4 and set(counters.accepted.values()) == {1}
    assert list(counters.last["create"].files) == ["input_reference"]
    assert await money(bench) == (Decimal(0), Decimal("2.5"))
    assert ended.cost == Decimal("2.5")
    assert [each.task.cost for each in made] == [Decimal("0.7"), *[Decimal("0.6")] * 3]
    assert await bench.slots() == 0


async def test_the_last_segment_is_cut_where_the_lengths_do_not_add_up(bench: Bench) -> None:
    await joining(bench, seconds=(8, 8))
    film = await bench.create(PROMPT, seconds=20)
    assert [each.task.request.seconds for each in await parts(bench, film)] == [8, 8, 8]
    await bench.work()
    ended = await bench.ended(film)
    assert ended.state == "completed", ended.error_message
    assert len(picture_times(await film_bytes(bench, ended))) == pytest.approx(20 * 8, abs=2)
    # The price of what was asked, in thirds of the share that is kept.
    assert await money(bench) == (Decimal(0), Decimal("2"))
    assert [each.task.cost for each in await parts(bench, film)] == [
        Decimal("0.8"),
        Decimal("0.8"),
        Decimal("0.4"),
    ]


async def test_a_storyboard_is_one_segment_a_shot(bench: Bench) -> None:
    await joining(bench)
    shots = (Shot(seconds=4, prompt="a kite"), Shot(seconds=5, prompt="a lake"))
    film = await bench.create("a kite a lake", shots=shots)
    assert await money(bench) == (Decimal("0.9"), Decimal(0))
    await bench.work()
    ended = await bench.ended(film)
    assert ended.state == "completed", ended.error_message
    assert bench.upstream.counters().prompts == {"a kite": 1, "a lake": 1}
    assert len(picture_times(await film_bytes(bench, ended))) == 9 * 8


async def test_what_is_made_in_one_piece_is_not_joined_and_what_can_not_be_is_refused(bench: Bench) -> None:
    await joining(bench)
    film = await bench.create(PROMPT, seconds=8)
    assert (film.account_id, await parts(bench, film)) == (None, [])
    await bench.components.catalog.routes.delete("sora-2")
    with pytest.raises(InvalidRequest) as refused:
        await bench.create(PROMPT, seconds=25)
    assert refused.value.param == "seconds"


async def test_no_list_of_a_client_shows_a_segment(bench: Bench) -> None:
    await joining(bench)
    film = await bench.create(PROMPT, seconds=16)
    listed, more = await bench.components.tasks.page(KEY)
    assert ([each.id for each in listed], more) == ([film.id], False)
    for each in await parts(bench, film):
        with pytest.raises(NotFound):
            await bench.components.tasks.get(each.task.id, KEY)


async def test_a_film_is_one_of_its_keys_tasks_in_flight_and_needs_all_of_its_money(bench: Bench) -> None:
    await joining(bench)
    one = ClientKey(id="one", name="one", owner="key:one", tasks_limit=1, budget_total=Decimal("2"))
    with pytest.raises(InsufficientQuota):
        await bench.create(PROMPT, seconds=25, key=one)
    assert await money(bench, one) == (Decimal(0), Decimal(0))
    await bench.create(PROMPT, seconds=20, key=one)
    assert await money(bench, one) == (Decimal("2"), Decimal(0))


async def test_a_failed_segment_is_made_again_alone(bench: Bench) -> None:
    error = {"code": "server_error", "message": "a bad day"}
    await joining(bench, failing={"It lands.": 2}, error=error)
    film = await bench.create(PROMPT, seconds=25)
    await bench.work()
    ended = await bench.ended(film)
    assert ended.state == "completed", ended.error_message
    counters = bench.upstream.counters()
    assert counters.prompts == {
        "A kite rises.": 1, "It sails over a lake.": 1, "Night falls.": 1, "It lands.": 3,
    }  # fmt: skip
    assert [each.attempt for each in await parts(bench, film)] == [0, 0, 0, 2]
    assert await money(bench) == (Decimal(0), Decimal("2.5"))
    office = bench.components.receipts()
    signed = await office.receipt(ended, "operator")
    said = read_signed(signed, read_jwks(json.dumps(await office.keys.published())))
    assert [(each["number"], each["segment"], each["verdict"]) for each in said["attempts"]] == [
        (1, 1, "made"), (2, 2, "made"), (3, 3, "made"), (4, 4, "failed"), (5, 4, "failed"), (6, 4, "made"),
    ]  # fmt: skip
    assert {each["provider"] for each in said["attempts"]} == {"openai_compatible"}
    assert (said["made"], said["money"]["sale"]) == ({"segments": 4}, "2.50")
    [file] = said["files"]
    assert file["sha256"] == hashlib.sha256(await film_bytes(bench, ended)).hexdigest()


async def test_a_segment_goes_on_at_another_account_where_the_route_says_so(bench: Bench) -> None:
    """Before it is made again as a segment: it stays one task, with one reservation."""
    error = {"code": "server_error", "message": "a bad day"}
    await joining(bench, failing={"Night falls.": 1}, error=error)
    options = {"capabilities": {"seconds": (4, 8)}, "poll_cap_seconds": 0.05}
    await bench.account("second", options=options)
    steps = [{"account": "upstream", "lengths": "join"}, {"account": "second", "lengths": "join"}]
    document = {"model": "sora-2", "candidates": steps, "retry": {"failed": 1}}
    await bench.components.catalog.routes.put(read_route(document))
    film = await bench.create(PROMPT, seconds=25)
    await bench.work()
    ended = await bench.ended(film)
    assert ended.state == "completed", ended.error_message
    assert bench.upstream.counters().prompts["Night falls."] == 2
    made = await parts(bench, film)
    assert [(each.attempt, each.task.attempt) for each in made] == [(0, 1), (0, 1), (0, 2), (0, 1)]
    first, last = await list_attempts(bench.components.database, made[2].task)
    assert first.account_id != last.account_id
    assert await money(bench) == (Decimal(0), Decimal("2.5"))


async def test_a_key_that_keeps_no_prompts_has_its_segments_made_again_all_the_same(bench: Bench) -> None:
    await joining(bench)
    private = ClientKey(id="private", name="private", owner="key:private", keep_prompts=False)
    film = await bench.create("One. Two.", seconds=16, key=private)
    components = bench.components
    async with components.database.write() as connection:  # as one that has failed while its film goes on
        made = (await parts(bench, film))[0].task
        ended = {"state": "failed", "finished_at": 1.0, "error_code": "upstream_error", "not_before": 0.0}
        mine = tasks.c.id == made.id
        await connection.execute(sa.update(tasks).where(mine).values(**ended))
        await connection.execute(sa.delete(ledger).where(ledger.c.task_id == made.id))
    await remove_prompts(components.database, components.store)
    assert (await parts(bench, film))[0].task.request.prompt == "One."
    async with components.database.write() as connection:
        await connection.execute(sa.update(tasks).where(tasks.c.id == film.id).values(finished_at=2.0))
    await remove_prompts(components.database, components.store)
    assert (await parts(bench, film))[0].task.request.prompt == ""


@pytest.mark.parametrize(
    ("error", "code", "times"),
    [
        ({"code": "server_error", "message": "a bad day"}, "upstream_error", 3),
        ({"code": "moderation_blocked", "message": "no"}, "content_policy_violation", 1),
    ],
)
async def test_a_film_fails_by_the_name_of_its_segment_and_pays_what_was_made(
    bench: Bench, error: dict[str, str], code: str, times: int
) -> None:
    await joining(bench, failing={"Night falls.": 9}, error=error)
    film = await bench.create(PROMPT, seconds=25)
    await bench.work()
    ended = await bench.ended(film)
    assert (ended.state, ended.error_code) == ("failed", code)
    assert "Segment 3 of 4" in (ended.error_message or "")
    assert [each.task.state for each in await parts(bench, film)] == [
        "completed", "completed", "failed", "cancelled",
    ]  # fmt: skip
    assert bench.upstream.counters().prompts["Night falls."] == times
    assert await money(bench) == (Decimal(0), Decimal("1.3"))
    assert ended.cost == Decimal("1.3")


async def test_an_unknown_outcome_is_not_made_again_and_stays_held(bench: Bench) -> None:
    await joining(bench)
    bench.upstream.fault("create", do="reset", accepts=True, prompt="It sails")
    film = await bench.create(PROMPT, seconds=25)
    await bench.work()
    ended = await bench.ended(film)
    assert (ended.state, ended.error_code) == ("failed", "submission_unknown")
    assert bench.upstream.counters().prompts["It sails over a lake."] == 1
    assert await money(bench) == (Decimal("0.6"), Decimal("0.7"))


async def test_a_cancelled_film_cancels_what_runs_and_begins_no_more(bench: Bench) -> None:
    await joining(bench, statuses=["in_progress"])
    film = await bench.create(PROMPT, seconds=25)
    await bench.work()

    async def runs() -> bool:
        return (await parts(bench, film))[0].task.state == "running"

    await until(runs)
    ended = await bench.components.tasks.cancel(await bench.reaches(film, "running"))
    assert ended.state == "cancelled"

    async def all_ended() -> bool:
        return all(each.task.state == "cancelled" for each in await parts(bench, film))

    await until(all_ended)
    assert bench.upstream.counters().jobs == 1
    assert len(bench.upstream.counters().deletes) == 1
    assert await money(bench) == (Decimal(0), Decimal(0))


async def test_progress_is_that_of_the_segments(bench: Bench) -> None:
    await joining(bench)
    film = await bench.create("One. Two.", seconds=16)
    await bench.work()

    async def first_is_made() -> bool:
        return (await parts(bench, film))[0].is_made

    await until(first_is_made)
    bench.upstream.script(film_as_asked=True, statuses=["in_progress"])

    async def half() -> bool:
        found = await bench.components.repository.get(film.id)
        assert found is not None
        return found.progress >= 50

    await until(half)
    bench.upstream.script(film_as_asked=True)
    assert (await bench.ended(film)).state == "completed"


async def test_segments_go_with_their_film(bench: Bench) -> None:
    await joining(bench)
    film = await bench.create("One. Two.", seconds=16)
    await bench.work()
    ended = await bench.ended(film)
    await bench.components.tasks.delete(ended)
    await tend_segments(bench.components.database, now=clock.now())

    async def gone() -> bool:
        async with bench.components.database.read() as connection:
            purged = (await connection.execute(sa.select(tasks.c.purged))).scalars().all()
        return all(purged)

    await until(gone)
    for each in await parts(bench, film):
        assert each.task.result is not None
        with pytest.raises(NotFound):
            await bench.components.store.get(each.task.result.files[0].key)
