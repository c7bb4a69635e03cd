"""Prices: found by name, family, alias and variant; estimates and final costs."""

import time
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa

from app.catalog.price import ModelPrice, rate_for, read_price, resolution_of
from app.catalog.prices import PriceRepository
from app.db.session import Database
from app.db.tables import routes
from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest, Shot
from app.tasks.task import StoredFile

FREE = Decimal(0)


@pytest_asyncio.fixture
async def repository(database_url: str) -> AsyncIterator[PriceRepository]:
    database = Database(database_url)
    made = PriceRepository(database)
    yield made
    await made.close()
    await database.close()


def video_request(**given: Any) -> GenerationRequest:
    return GenerationRequest.model_validate({"kind": "video", "model": "film"} | given)


def film(**given: Any) -> StoredFile:
    fields = {"name": "v", "key": "v", "content_type": "video/mp4", "bytes": 1, "width": 1280, "height": 720}
    return StoredFile.model_validate(fields | {"seconds": 4.04} | given)


async def test_the_default_price_applies_until_it_is_replaced(repository: PriceRepository) -> None:
    name = "sora_video2-landscape-hd-15s"
    assert await repository.estimate_request(video_request(model=name)) == Decimal("0.15")
    await repository.set_price("sora_video2*", ModelPrice(per_call=Decimal("0.2")))
    assert await repository.estimate_request(video_request(model=name)) == Decimal("0.2")
    await repository.set_price("sora_video2*", ModelPrice())
    assert await repository.current_price(name) is None
    await repository.remove_price("sora_video2*")
    assert await repository.estimate_request(video_request(model=name)) == Decimal("0.15")
    with pytest.raises(NotFound):
        await repository.remove_price("sora_video2*")
    assert [(line.model, line.source) for line in await repository.list_lines()] == [
        ("sora_video2*", "default")
    ]


async def test_the_nearest_name_sets_the_price(repository: PriceRepository) -> None:
    for name, dollars in (("veo*", 1), ("veo3*", 2), ("veo3-pro", 3), ("sora-2", 4)):
        await repository.set_price(name, ModelPrice(per_call=Decimal(dollars)))
    async with repository._database.write() as connection:
        row = {"model": "movie", "alias_of": "veo3-pro", "updated_at": 0.0}
        await connection.execute(sa.insert(routes), row)
    await repository.refresh()
    expected = {"veo3-pro": 3, "veo3-fast": 2, "veo2": 1, "movie": 3, "sora2-portrait-10s": 4, "bot": None}
    for name, dollars in expected.items():
        price = await repository.current_price(name)
        assert (price.per_call if price else None) == dollars, name


async def test_another_process_change_is_seen_after_a_while(
    repository: PriceRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = PriceRepository(repository._database)
    assert await other.recent_price("film") is None
    await repository.set_price("film", ModelPrice(per_call=Decimal(1)))
    assert await other.recent_price("film") is None
    monkeypatch.setattr("app.shared_reads.monotonic", lambda: time.monotonic() + 60)
    assert await other.recent_price("film") == ModelPrice(per_call=Decimal(1))
    await other.close()


async def test_the_first_call_after_a_start_is_not_free(repository: PriceRepository) -> None:
    await repository.set_price("film", ModelPrice(per_call=Decimal(1)))
    started = PriceRepository(repository._database)
    assert await started.recent_price("film") == ModelPrice(per_call=Decimal(1))
    await started.close()


def test_seconds_by_resolution() -> None:
    price = read_price({"per_second": {"720p": "0.10", "1080P": 0.5, "*": "0.3"}})
    assert price.estimate_request(video_request(seconds=4, size="1280x720")) == Decimal("0.4")
    assert price.estimate_request(video_request(seconds=4, size="704x1280")) == Decimal("0.4")
    assert price.estimate_request(video_request(seconds=4, resolution="1080p")) == Decimal(2)
    assert price.estimate_request(video_request(seconds=4)) == Decimal("1.2")
    assert price.estimate_request(
        video_request(shots=(Shot(seconds=1.5, prompt="a"), Shot(seconds=2, prompt="b")))
    ) == Decimal("1.05")
    assert price.estimate_request(video_request(model="sora2-landscape-15s")) == Decimal("1.5")
    assert price.final_cost(video_request(seconds=8), [film()], {}) == Decimal("0.4")
    assert price.final_cost(video_request(seconds=8), [film(width=1080, height=1920)], {}) == Decimal(2)
    assert price.final_cost(video_request(seconds=8), [film()], {"seconds": 5}) == Decimal("0.5")
    assert price.final_cost(video_request(seconds=8), [film(), film(seconds=None)], {}) == Decimal("1.2")
    assert price.final_cost(video_request(seconds=8), [], {}) == FREE


def test_what_is_not_listed_costs_as_much_as_the_most_expensive() -> None:
    rates = {"720p": Decimal(1), "640x640": Decimal(2)}
    assert rate_for(rates, "1280x720", "") == 1
    assert rate_for(rates, "", "4k") == 2
    assert rate_for({}, "1280x720", "") == FREE
    assert [resolution_of(size) for size in ("1792x1024", "360x540", "9000x9000", "big", "")] == [
        "1080p", "360p", "9000p", "", "",
    ]  # fmt: skip


def test_images_tokens_and_the_upstreams_own_units() -> None:
    picture = film(content_type="image/png", seconds=None)
    images = read_price({"per_image": "0.04", "per_call": "0.01"})
    assert images.estimate_request(video_request(kind="image", extra={"n": 3})) == Decimal("0.13")
    assert images.final_cost(video_request(kind="image"), [picture, picture], {}) == Decimal("0.09")
    words = read_price({"per_million_input": 3, "per_million_output": 15})
    assert words.final_cost(video_request(), [], {"prompt_tokens": 1000, "completion_tokens": 2}) == Decimal(
        "0.00303"
    )
    assert words.cost_of_tokens(1, 1) == Decimal("0.000018")
    with pytest.raises(InvalidRequest):
        images.estimate_request(video_request(kind="image", extra={"n": "many"}))
    by_credit = read_price({"per_call": 1, "per_unit": {"credits": "0.01"}})
    assert by_credit.estimate_request(video_request()) == Decimal(1)
    assert by_credit.final_cost(video_request(), [film()], {"credits": 12.5}) == Decimal("0.125")
    assert by_credit.final_cost(video_request(), [film()], {"credits": -3}) == Decimal(1)
    assert by_credit.final_cost(video_request(), [film()], {"credits": "many"}) == Decimal(1)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"per_call": -1}, "per_call"),
        ({"per_call": "nan"}, "per_call"),
        ({"per_second": {"*": "free"}}, "per_second.*"),
        ({"per_minute": 1}, "per_minute"),
        ({"per_image": {"": 1}}, "per_image"),
    ],
)
def test_an_invalid_price_is_refused(fields: dict[str, Any], name: str) -> None:
    with pytest.raises(InvalidRequest) as told:
        read_price(fields)
    assert told.value.param == name


async def test_an_invalid_name_is_refused(repository: PriceRepository, tmp_path: Path) -> None:
    for name in ("", " ", "a*b", "x" * 201, "a\nb"):
        with pytest.raises(InvalidRequest):
            await repository.set_price(name, ModelPrice())
