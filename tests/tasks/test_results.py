"""Results of every kind are copied into our own store, including those that are not inspected."""

import io
from typing import Any

import av
import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.tasks.conftest import Bench
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.suno import SunoServer

BINARY = {"content-type": "application/octet-stream"}


def tone() -> bytes:
    """Half a second of a real MP3."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as container:
        stream = container.add_stream("mp3", rate=44_100)
        samples = (np.sin(np.arange(22_050) / 20) * 8_000).astype(np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = 44_100
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return buffer.getvalue()


class SingingServer(SunoServer):
    """The simulator, with songs that can be downloaded from it."""

    body = b""

    def routes(self) -> list[BaseRoute]:
        return [*super().routes(), Route("/song.mp3", self.song)]

    async def song(self, _: Request) -> Response:
        return Response(self.body, media_type="audio/mpeg")

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        told = super().shown(job, word)
        for song in told["data"] or []:
            song["audio_url"] = f"{self.url}/song.mp3"
        return told


async def test_a_film_that_nothing_here_decodes_is_kept_without_pictures(bench: Bench) -> None:
    """The page in its place is refused, and asked for again."""
    stream = b"".join(b"G" + bytes([n]) * 187 for n in range(50))
    bench.upstream.fault("content", status=200, text="<!doctype html>")
    bench.upstream.fault("content", status=200, text=stream.decode(), times=None, headers=BINARY)
    await bench.account()
    await bench.work()
    ended = await bench.ended(await bench.create())
    assert ended.state == "completed", ended.error_message
    assert ended.result is not None
    [file] = ended.result.files
    assert (file.name, file.content_type, file.seconds) == ("video.ts", "video/mp2t", None)
    assert ended.result.thumbnail is None
    assert "result.undecoded" in await bench.timeline(ended)


async def test_songs_are_kept_as_they_came(bench: Bench) -> None:
    with SingingServer() as vendor:
        vendor.keys = None
        vendor.body = body = tone()
        await bench.account("songs", provider="suno", url=vendor.url)
        task = await bench.create("a song about rain", kind="audio", model="suno_music")
        await bench.work()
        ended = await bench.ended(task)
    assert ended.state == "completed", ended.error_message
    assert ended.result is not None
    assert {(file.name, file.content_type, file.bytes) for file in ended.result.files} == {
        ("audio.mp3", "audio/mpeg", len(body)),
        ("audio-2.mp3", "audio/mpeg", len(body)),
    }
    assert await bench.components.store.get(ended.result.files[0].key) == body
