"""The official Python SDK, unchanged, on every call of its Videos API."""

import base64
import io
import time
from typing import Any

import av
import httpx2
import numpy
import pytest
from openai import AsyncOpenAI, BadRequestError, NotFoundError, OpenAI, omit
from openai.types import Video

from tests.e2e.conftest import Setting
from tests.e2e.footage import make_picture, read_clip, read_picture
from tests.e2e.waiting import SMALL, completed, ended
from tests.serving import KEY

JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def finished(client: OpenAI) -> Video:
    return completed(client, "a lighthouse at dusk")


def pixel_distance(first: bytes, second: bytes) -> float:
    """How far two clips' first frames are apart, 0 to 255."""
    frames = []
    for content in (first, second):
        with av.open(io.BytesIO(content)) as container:
            frames.append(next(container.decode(video=0)).to_ndarray(format="rgb24").astype(float))
    return float(numpy.abs(frames[0] - frames[1]).mean())


def test_create_and_poll_then_download(setting: Setting) -> None:
    """Strict validation is a schema check for free: every key and type of OpenAI's own object."""
    seen: list[httpx2.Response] = []
    with (
        httpx2.Client(event_hooks={"response": [seen.append]}) as wire,
        OpenAI(
            base_url=setting.base, api_key=KEY, http_client=wire, _strict_response_validation=True
        ) as strict,
    ):
        video = strict.videos.create_and_poll(
            prompt="[studio:fast] a red kite over the sea", model="sora-2", seconds="4", size="1280x720"
        )
        content = strict.videos.download_content(video.id).read()

    assert (video.status, video.progress, video.error) == ("completed", 100, None)
    assert (video.seconds, video.size, video.model) == ("4", "1280x720", "sora-2")
    assert video.completed_at and video.expires_at and video.expires_at - video.completed_at == 86400
    clip = read_clip(content)
    assert (clip.codec, clip.size, clip.seconds) == ("h264", "1280x720", 4.0)
    looks = [r for r in seen if r.request.method == "GET" and not r.request.url.path.endswith("content")]
    assert len(looks) >= 2
    assert all(r.headers.get("openai-poll-after-ms", "").isdigit() for r in looks[:-1])
    assert "openai-poll-after-ms" not in looks[-1].headers


def test_a_fresh_video_has_every_key(client: OpenAI) -> None:
    made = client.videos.create(prompt="[studio:slow=1] a heron", **SMALL)
    assert made.to_dict() == {
        "id": made.id,
        "object": "video",
        "created_at": made.created_at,
        "status": "queued",
        "completed_at": None,
        "error": None,
        "expires_at": None,
        "model": "sora-2",
        "progress": 0,
        "prompt": "[studio:slow=1] a heron",
        "remixed_from_video_id": None,
        "seconds": "1",
        "size": "320x180",
        "url": None,
    }
    assert made.id.startswith("video_")
    assert abs(made.created_at - time.time()) < 60
    assert made._request_id and made._request_id.startswith("req_")


def test_defaults_of_the_sdk(client: OpenAI) -> None:
    made = client.videos.create(prompt="[studio:fast] nothing said")
    assert (made.model, made.seconds, made.size) == ("sora-2", "4", "720x1280")


@pytest.mark.parametrize("seconds", ["2", 2])
@pytest.mark.parametrize("headers", [{}, JSON], ids=["multipart", "json"])
def test_seconds_as_text_and_as_number(client: OpenAI, seconds: Any, headers: dict[str, str]) -> None:
    made = client.videos.create(
        prompt="[studio:fast] two", seconds=seconds, size="320x180", extra_headers=headers
    )
    assert made.seconds == "2"


def test_extra_body_in_a_form(client: OpenAI) -> None:
    """The SDK writes nested values with brackets and everything as text."""
    made = client.videos.create(
        prompt="[studio:fast] extras",
        extra_body={"fps": 24, "nested": {"a": [1, 2]}, "b": True, "n": None, "arr": ["x"], "seed": 7},
        **SMALL,
    )
    assert ended(client, made.id).status == "completed"


def test_the_same_seed_gives_the_same_video(client: OpenAI) -> None:
    one, two, three = (
        client.videos.download_content(
            completed(client, "seeded", extra_body={"seed": seed}, extra_headers=headers).id
        ).read()
        for seed, headers in ((7, {}), (7, JSON), (8, {}))
    )
    assert one == two
    assert one != three


@pytest.mark.parametrize(("kind", "name"), [("PNG", "f.png"), ("JPEG", "f.jpg"), ("WEBP", "f.webp")])
def test_a_picture_file_becomes_the_first_frame(client: OpenAI, kind: str, name: str) -> None:
    picture = make_picture(kind=kind)
    video = completed(client, "go", input_reference=(name, picture, f"image/{kind.lower()}"))
    plain = completed(client, "go")
    content = client.videos.download_content(video.id).read()
    assert pixel_distance(content, client.videos.download_content(plain.id).read()) > 10


@pytest.mark.parametrize("headers", [{}, JSON], ids=["multipart", "json"])
@pytest.mark.parametrize("form", ["object", "bare data uri", "bare base64"])
def test_a_picture_in_text(client: OpenAI, headers: dict[str, str], form: str) -> None:
    encoded = base64.b64encode(make_picture()).decode()
    given: Any = {
        "object": {"image_url": f"data:image/png;base64,{encoded}"},
        "bare data uri": f"data:image/png;base64,{encoded}",
        "bare base64": encoded,
    }[form]
    completed(client, "go", extra_body={"input_reference": given}, extra_headers=headers)


def test_a_picture_by_address(client: OpenAI, setting: Setting) -> None:
    address = f"{setting.upstream.url}/files/image.png"
    completed(client, "go", extra_body={"input_reference": {"image_url": address}})


def test_retrieve(client: OpenAI, finished: Video) -> None:
    again = client.videos.retrieve(finished.id)
    assert again.to_dict() | {"url": ""} == finished.to_dict() | {"url": ""}


def test_thumbnail_and_spritesheet(client: OpenAI, finished: Video) -> None:
    thumbnail = client.videos.download_content(finished.id, variant="thumbnail")
    assert thumbnail.response.headers["content-type"] == "image/webp"
    assert read_picture(thumbnail.read())[0] == "webp"
    sheet = client.videos.download_content(finished.id, variant="spritesheet")
    assert sheet.response.headers["content-type"] == "image/jpeg"
    assert read_picture(sheet.read())[0] == "jpeg"


def test_forms_that_every_player_plays(client: OpenAI, finished: Video) -> None:
    told = finished.to_dict()
    assert (told["codec"], told["fps"], told["sound"]) == ("h264", 24, True)
    film = client.videos.download_content(finished.id)
    same = client.videos.download_content(finished.id, variant="compatible")  # type: ignore[arg-type]
    assert same.read() == film.read()  # the studio's are of that form already
    playlist = client.videos.download_content(finished.id, variant="hls")  # type: ignore[arg-type]
    assert playlist.response.headers["content-type"] == "application/vnd.apple.mpegurl"
    segments = next(line for line in playlist.text.splitlines() if line.startswith("http"))
    whole = httpx2.get(segments)
    assert (whole.status_code, whole.headers["content-type"]) == (200, "video/mp4")
    with av.open(io.BytesIO(whole.content)) as stream:
        assert stream.streams.video[0].codec_context.name == "h264"
        assert stream.streams.audio
    board = client.videos.download_content(finished.id, variant="storyboard")  # type: ignore[arg-type]
    assert board.response.headers["content-type"].startswith("text/vtt")
    cue = next(line for line in board.text.splitlines() if line.startswith("http"))
    assert read_picture(httpx2.get(cue.partition("#")[0]).content)[0] == "jpeg"


def test_an_unknown_form_is_named(client: OpenAI, finished: Video) -> None:
    with pytest.raises(BadRequestError, match="one of video, thumbnail, spritesheet") as refused:
        client.videos.download_content(finished.id, variant="gif")  # type: ignore[arg-type]
    assert refused.value.param == "variant"


def test_remix(client: OpenAI, finished: Video) -> None:
    made = client.videos.remix(finished.id, prompt="[studio:fast] now in fog")
    assert made.remixed_from_video_id == finished.id
    video = ended(client, made.id)
    assert (video.status, video.size, video.seconds) == ("completed", "320x180", "1")


def test_edit_of_an_upload(client: OpenAI, finished: Video) -> None:
    clip = client.videos.download_content(finished.id).read()
    made = client.videos.edit(
        prompt="[studio:fast] brighter", video=("clip.mp4", clip, "video/mp4"), extra_body={"size": "320x180"}
    )
    assert ended(client, made.id).status == "completed"


@pytest.mark.parametrize("headers", [{}, JSON], ids=["multipart", "json"])
def test_edit_and_extend_of_an_own_video(client: OpenAI, finished: Video, headers: dict[str, str]) -> None:
    """``video`` as an object goes through ``extra_body``: the SDK can't put it in a form itself."""
    own: dict[str, Any] = {"video": {"id": finished.id}}
    edited = client.videos.edit(
        prompt="[studio:fast] warmer", video=omit, extra_body=own, extra_headers=headers
    )
    assert edited.remixed_from_video_id == finished.id
    longer = client.videos.extend(
        prompt="[studio:fast] and on", seconds="2", video=omit, extra_body=own, extra_headers=headers
    )
    assert ended(client, edited.id).status == "completed"
    assert ended(client, longer.id).seconds == "3"
    assert read_clip(client.videos.download_content(longer.id).read()).seconds == 3.0


def test_characters(client: OpenAI, stranger: OpenAI, finished: Video) -> None:
    clip = client.videos.download_content(finished.id).read()
    made = client.videos.create_character(name="Mossy", video=("mossy.mp4", clip, "video/mp4"))
    assert made.name == "Mossy"
    assert client.videos.get_character(made.id).to_dict() == made.to_dict()
    video = completed(client, "waves", extra_body={"characters": [{"id": made.id}]})
    assert video.status == "completed"
    with pytest.raises(NotFoundError):
        stranger.videos.get_character(made.id)
    with pytest.raises(NotFoundError):
        stranger.videos.create(prompt="theft", extra_body={"characters": [{"id": made.id}]})


def test_delete(client: OpenAI, keyless: httpx2.Client) -> None:
    video = completed(client, "soon gone")
    link = str(video.to_dict()["url"])
    assert keyless.get(link).status_code == 200
    gone = client.videos.delete(video.id)
    assert gone.to_dict() == {"id": video.id, "object": "video.deleted", "deleted": True}
    for call in (client.videos.retrieve, client.videos.download_content, client.videos.delete):
        with pytest.raises(NotFoundError):
            call(video.id)
    assert keyless.get(link).status_code == 404


def test_delete_while_it_runs(client: OpenAI) -> None:
    made = client.videos.create(prompt="[studio:slow=30] a long wait", **SMALL)
    client.videos.delete(made.id)
    with pytest.raises(NotFoundError):
        client.videos.retrieve(made.id)


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("fail", None),
        ("reject", "invalid_request"),
        ("moderate", "content_policy_violation"),
        ("moderate-late", "content_policy_violation"),
    ],
)
def test_what_fails_says_why(client: OpenAI, word: str, code: str | None) -> None:
    made = client.videos.create(prompt=f"[studio:{word}] a storm", **SMALL)
    video = ended(client, made.id)
    assert video.status == "failed"
    assert video.error and video.error.message
    assert code is None or video.error.code == code
    assert (video.completed_at, video.to_dict()["url"]) == (None, None)
    with pytest.raises(NotFoundError):
        client.videos.download_content(video.id)


def test_no_content_before_the_end(client: OpenAI) -> None:
    """404, which no SDK repeats, and OpenAI's own words."""
    made = client.videos.create(prompt="[studio:slow=20] slow", **SMALL)
    with pytest.raises(NotFoundError, match="not ready yet"):
        client.videos.download_content(made.id)
    client.videos.delete(made.id)


def test_list_goes_through_all_pages(setting: Setting) -> None:
    """A key of its own, so that the list holds these seven alone."""
    with OpenAI(base_url=setting.base, api_key=setting.keys.lister) as own:
        made = [own.videos.create(prompt=f"[studio:fast] {n}", **SMALL).id for n in range(7)]
        first = own.videos.list(limit=3, order="asc")
        assert (len(first.data), first.has_more) == (3, True)
        assert first.to_dict()["first_id"] == made[0]
        assert first.to_dict()["last_id"] == made[2]
        assert [video.id for video in own.videos.list(limit=3, order="asc")] == made
        assert [video.id for video in own.videos.list(limit=2)] == made[::-1]
        assert [video.id for video in own.videos.list(after=made[4], order="asc")] == made[5:]
        assert [video.id for video in own.videos.list(after=made[2])] == [made[1], made[0]]


async def test_async_client(setting: Setting) -> None:
    async with AsyncOpenAI(base_url=setting.base, api_key=KEY) as client:
        video = await client.videos.create_and_poll(
            prompt="[studio:fast] async", seconds=1, size="320x180", poll_interval_ms=100
        )
        assert video.status == "completed"
        content = await client.videos.download_content(video.id)
        assert read_clip(await content.aread()).size == "320x180"
        listed = [found.id async for found in client.videos.list(limit=1) if found.id == video.id]
        assert listed == [video.id]
        remixed = await client.videos.remix(video.id, prompt="[studio:fast] again")
        assert remixed.remixed_from_video_id == video.id


def test_models(client: OpenAI) -> None:
    listed = client.models.list()
    names = [model.id for model in listed]
    assert {"sora-2", "sora_video2-landscape-15s", "sora2pro-hd-portrait-25s", "gpt-image"} <= set(names)
    assert {"veo3.1-pro", "sora-1.0", "house-chat", "studio"} <= set(names)
    assert len(names) == len(set(names))
    assert listed.to_dict()["success"] is True
    one = client.models.retrieve("sora-2").to_dict()
    assert (one["id"], one["object"], one["root"], one["parent"]) == ("sora-2", "model", "sora-2", None)
    assert one["capabilities"]["kind"] == "video"
    assert one["permission"]
    with pytest.raises(NotFoundError) as refused:
        client.models.retrieve("org/no-such:model")
    assert refused.value.code == "model_not_found"
