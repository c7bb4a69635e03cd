"""What was asked and what was made instead: from the request to the film, the timeline, the answer and the bill."""

from decimal import Decimal
from typing import Any

from app.catalog.price import read_price
from app.dialects.account_api.answer import task_object
from app.dialects.openai_videos.answer import video_object
from app.errors import InvalidRequest
from app.tasks.task import Task
from tests.tasks.conftest import Bench
from tests.tasks.test_billing import money

NAME = "sora2-landscape-10s"


async def details(bench: Bench, task: Task, event: str) -> dict[str, Any]:
    rows = await bench.components.repository.read_timeline(task.id)
    return next(row["detail"] for row in rows if row["event"] == event)


async def test_a_longer_film_is_trimmed_to_what_the_name_says_and_charged_as_made(bench: Bench) -> None:
    bench.upstream.script(film_seconds=12)
    await bench.account(options={"capabilities": {"seconds": [12, 20]}})
    await bench.components.money.prices.set_price(NAME, read_price({"per_second": {"*": "0.1"}}))
    task = await bench.create(model=NAME, seconds=10, size="1280x720")
    assert await money(bench) == (Decimal("1.2"), Decimal(0))
    await bench.work()
    ended = await bench.ended(task)
    assert ended.state == "completed", ended.error_message
    asked = await details(bench, task, "submitting")
    assert (asked["asked"], asked["made"], asked["trim_to"]) == ({"seconds": 10}, {"seconds": 12}, 10)
    trimmed = await details(bench, task, "trimmed")
    assert trimmed["ok"] and (trimmed["made"], trimmed["to"]) == (12, 10)
    assert ended.result is not None
    [file] = ended.result.files
    assert file.made_seconds == 12 and 9.9 <= (file.seconds or 0) <= 10.5
    assert await money(bench) == (Decimal(0), Decimal("1.2"))
    told = task_object(ended, [])
    assert told["fitted"] == {"asked": {"seconds": 10}, "made": {"seconds": 12}, "trim_to": 10}
    assert video_object(ended, url=None)["seconds"] == "10"


async def test_a_film_that_can_not_be_trimmed_is_kept_whole_and_says_so(bench: Bench) -> None:
    stream = b"".join(b"G" + bytes([n]) * 187 for n in range(50))
    binary = {"content-type": "application/octet-stream"}
    bench.upstream.fault("content", status=200, text=stream.decode(), times=None, headers=binary)
    await bench.account(options={"capabilities": {"seconds": [12, 20]}})
    await bench.work()
    ended = await bench.ended(await bench.create(model=NAME, seconds=10, size="1280x720"))
    assert ended.state == "completed", ended.error_message
    trimmed = await details(bench, ended, "trimmed")
    assert (trimmed["ok"], trimmed["to"]) == (False, 10)
    assert "Kept whole" in trimmed["error"]
    assert ended.result is not None
    assert (ended.result.files[0].bytes, ended.result.files[0].made_seconds) == (len(stream), None)


async def test_another_length_is_told_and_charged_where_the_operator_allows_it(bench: Bench) -> None:
    bench.upstream.script(film_seconds=4)
    stated = {"capabilities": {"seconds": [4, 8]}}
    await bench.account("strict", options=stated)
    try:
        await bench.create(seconds=3)
    except InvalidRequest as refusal:
        assert refusal.param == "seconds"
    else:
        raise AssertionError("exact is the default")
    await bench.account("loose", options=stated, lengths="at_least")
    await bench.components.money.prices.set_price("sora-2", read_price({"per_second": {"*": "0.1"}}))
    task = await bench.create(seconds=3)
    assert await money(bench) == (Decimal("0.4"), Decimal(0))
    assert task.fitting is None
    await bench.work()
    ended = await bench.ended(task)
    assert ended.state == "completed", ended.error_message
    assert (await details(bench, task, "submitting"))["account"] == "loose"
    assert "trimmed" not in await bench.timeline(task)
    assert await money(bench) == (Decimal(0), Decimal("0.4"))
    told = video_object(ended, url=None)
    assert told["seconds"] == "4"
    assert told["fitted"] == {"asked": {"seconds": 3}, "made": {"seconds": 4}}
