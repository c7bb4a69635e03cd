"""Where no route says who serves a name: the accounts that map it, else, for names that mean a video, every one that
makes videos."""

import pytest

from app.errors import NoAvailableAccount, UnknownModel
from app.generation import Kind
from tests.tasks.conftest import Bench

VIDEO, IMAGE = frozenset({"video"}), frozenset({"image"})


async def served(bench: Bench, model: str, kind: Kind = "video") -> dict[str, str]:
    await bench.components.catalog.refresh()
    return {each.account.name: each.model for each in bench.components.catalog.candidates(kind, model)}


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
    assert await served(bench, "sora-1.0") == {"mapped": "wan"}  # the return-format manual's only name
    assert await served(bench, "veo3") == {"plain": "veo3"}


async def test_a_name_of_a_family_is_known_without_an_account_for_it(bench: Bench) -> None:
    await bench.account("painter", kinds=IMAGE)
    with pytest.raises(NoAvailableAccount, match="1 doesn't support veo9"):
        await bench.create(model="veo9")
    with pytest.raises(UnknownModel):
        await bench.create(model="wan-9")


@pytest.mark.parametrize(
    "model", ["gpt-image-1", "gpt-image-1.5", "gpt-image-2", "gpt-image-1-mini", "dall-e-3"]
)
async def test_every_image_account_serves_openais_names(bench: Bench, model: str) -> None:
    await bench.account("plain")
    await bench.account("told", options={"default_model": "theirs"})
    await bench.account("painter", models={"flux": "flux-dev"}, kinds=IMAGE)
    await bench.account("films", models={"sora-2": "wan-2.2"})  # its map says nothing about pictures
    await bench.account("paints", models={"seedream": "doubao-seedream-4-0-250828"})
    await bench.account("filmer", models={"sora-2": "wan-2.2"}, kinds=VIDEO)
    expected = {"plain": model, "told": "theirs", "painter": "flux-dev", "films": model}
    assert await served(bench, model, "image") == expected
    assert bench.components.catalog.kind_of(model) == "image"


async def test_the_names_of_the_manuals_beside_one_mapped_account(bench: Bench) -> None:
    await bench.account("farm", models={"sora-2": "wan-2.2"})
    assert await served(bench, "sora-1.0") == {"farm": "wan-2.2"}
    assert await served(bench, "gpt-image-landscape", "image") == {"farm": "gpt-image-landscape"}
