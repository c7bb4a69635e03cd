"""Where no route says who serves a name: the accounts that map it, else, for names that mean a video, every one that
makes videos."""

import pytest

from app.errors import NoAvailableAccount, UnknownModel
from tests.tasks.conftest import Bench

VIDEO, IMAGE = frozenset({"video"}), frozenset({"image"})


async def served(bench: Bench, model: str) -> dict[str, str]:
    await bench.components.catalog.refresh()
    return {each.account.name: each.model for each in bench.components.catalog.candidates("video", model)}


@pytest.mark.parametrize(
    "model", ["sora-2", "sora-2-2027-01-01", "sora_video2-landscape", "veo3.1", "veo9-ultra"]
)
async def test_every_video_account_serves_a_name_of_these_families(bench: Bench, model: str) -> None:
    await bench.account("plain")
    await bench.account("told", options={"default_model": "theirs"})
    await bench.account("mapped", models={"kling": "kling-v2"}, kinds=VIDEO)
    await bench.account("painter", kinds=IMAGE)
    assert await served(bench, model) == {"plain": model, "told": "theirs", "mapped": "kling-v2"}
    assert bench.components.catalog.kind_of(model) == "video"
    assert (await bench.create(model=model)).kind == "video"


async def test_accounts_that_map_a_name_serve_it_alone(bench: Bench) -> None:
    await bench.account("plain")
    await bench.account("mapped", models={"sora-2": "wan"})
    assert await served(bench, "sora-2") == {"mapped": "wan"}
    # A variant goes where its base goes; who maps only some names gets no others.
    assert await served(bench, "sora_video2-landscape-15s") == {"mapped": "wan"}
    assert await served(bench, "veo3") == {"plain": "veo3"}


async def test_a_name_of_a_family_is_known_without_an_account_for_it(bench: Bench) -> None:
    await bench.account("painter", kinds=IMAGE)
    with pytest.raises(NoAvailableAccount, match="1 don't support veo9"):
        await bench.create(model="veo9")
    with pytest.raises(UnknownModel):
        await bench.create(model="wan-9")
