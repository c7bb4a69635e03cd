"""Characters on both stores: created once, found by id or username, paged, deleted."""

from pathlib import Path

import pytest

from app.errors import InvalidRequest, NotFound
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey
from app.tasks.characters import Character, ClipRange
from tests.media.clips import make_clip
from tests.tasks.conftest import KEY, Bench

STRANGER = ClientKey(id="other", name="other", owner="key:other")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> MediaInput:
    path = make_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", size=(64, 36))
    return MediaInput(
        role="source_video", content_type="video/mp4", sha256="of the clip", content=path.read_bytes()
    )


async def make(bench: Bench, clip: MediaInput, *names: str) -> list[Character]:
    return [await bench.components.characters.create(clip, key=KEY, name=name) for name in names]


async def test_the_same_is_made_once_and_another_moment_is_another(bench: Bench, clip: MediaInput) -> None:
    first, again = await make(bench, clip, "Mossy", "Mossy")
    assert first == again
    moment = await bench.components.characters.create(
        clip, key=KEY, name="Mossy", clip_range=ClipRange(0.5, 1.5)
    )
    theirs = await bench.components.characters.create(clip, key=STRANGER, name="Mossy")
    assert len({first.username, moment.username, theirs.username}) == 3
    with pytest.raises(NotFound):
        await bench.components.characters.get(first.username, key=STRANGER)


async def test_pages_and_names(bench: Bench, clip: MediaInput) -> None:
    made = await make(bench, clip, "One", "Two", "")
    characters = bench.components.characters
    assert await characters.page(KEY, after=None, limit=2) == (made[:0:-1], True)
    assert await characters.page(KEY, after=made[1].username, limit=2) == ([made[0]], False)
    for name in (made[2].id, made[2].id.replace("char_", "ch_"), f"@{made[2].username.upper()}"):
        assert await characters.get(name, key=KEY) == made[2]
    for name in ("", "\0", "one\0", "char_" + "0" * 32, "nobody.00000000"):
        with pytest.raises(NotFound):
            await characters.get(name, key=KEY)
    await characters.delete(made[2])
    with pytest.raises(NotFound):
        await characters.get(made[2].id, key=KEY)
    with pytest.raises(NotFound):
        await bench.components.store.head(made[2].clip)


async def test_a_prompt_names_characters(bench: Bench, clip: MediaInput) -> None:
    one, two = await make(bench, clip, "One", "Two")
    prompt = f"@{one.username} meets @{{{two.username}}} and @nobody, not me@{one.username}"
    request = GenerationRequest(kind="video", model="m", prompt=prompt, media=(two.as_input(),))
    found = await bench.components.characters.add_mentioned_characters(request, key=KEY)
    assert [item.sha256 for item in found.media] == [two.id, one.id]
    touched = request.model_copy(
        update={"prompt": f"让@{one.username}跳舞，＠{two.username}，也跳", "media": ()}
    )
    found = await bench.components.characters.add_mentioned_characters(touched, key=KEY)
    assert [item.sha256 for item in found.media] == [one.id, two.id]
    assert await bench.components.characters.add_mentioned_characters(request, key=STRANGER) == request


async def test_what_cannot_be_played_or_is_too_short_names_the_field(bench: Bench, clip: MediaInput) -> None:
    with pytest.raises(InvalidRequest, match="printable"):
        await make(bench, clip, "Mos\0sy")
    broken = clip.model_copy(update={"content": b"no clip", "sha256": "other"})
    with pytest.raises(InvalidRequest, match="not a playable clip") as refused:
        await bench.components.characters.create(broken, key=KEY, param="url")
    assert refused.value.param == "url"
    with pytest.raises(InvalidRequest, match="only 2 seconds") as refused:
        await bench.components.characters.create(
            clip, key=KEY, clip_range=ClipRange(1, 3, param="timestamps")
        )
    assert refused.value.param == "timestamps"


async def test_any_form_is_kept_as_mp4(bench: Bench, tmp_path: Path) -> None:
    content = make_clip(tmp_path / "a.webm", size=(64, 36), codec="libvpx").read_bytes()
    clip = MediaInput(role="source_video", content_type="video/webm", sha256="w", content=content)
    made = await bench.components.characters.create(clip, key=KEY)
    assert (await bench.components.store.get(made.clip))[4:8] == b"ftyp"
