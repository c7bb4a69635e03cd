"""An operator's resolver: answers as it is told, remembers what it was asked, and serves the clip it names."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from aiohttp import web


class ResolverServer:
    """``manner``: ``ok``, ``page``, ``broken`` (its link leads nowhere), ``lies`` (to no video), ``garbage``,
    ``silent``, ``endless`` (an answer that never ends), ``huge``, ``redirect`` (to where we may not go),
    ``inside`` (its link does), ``list`` (JSON, but of no use), or a status. ``manners`` come first."""

    def __init__(self, clip: bytes) -> None:
        self.url = ""
        self.clip = clip
        self.manner: str | int = "ok"
        self.manners: list[str | int] = []
        self.asked: list[tuple[dict[str, Any], str]] = []
        self.leaving = asyncio.Event()

    def options(self, **changed: Any) -> dict[str, Any]:
        return {
            "name": "one",
            "url": f"{self.url}/resolve",
            "secret": "resolver-secret",
            "tries": 1,
        } | changed

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/clip.mp4":
            return web.Response(body=self.clip, content_type="video/mp4")
        if request.path == "/page":
            return web.Response(text="<video>", content_type="text/html")
        if request.method == "GET":
            return web.Response(status=404)
        self.asked.append((json.loads(await request.read()), request.headers.get("authorization", "")))
        manner = self.manners.pop(0) if self.manners else self.manner
        if isinstance(manner, int):
            return web.Response(status=manner, headers={"retry-after": "0"})
        if manner == "silent":
            await self.leaving.wait()
        if manner == "endless":
            return await self._endless(request)
        if manner in ODD:
            return ODD[manner]()
        paths = {"ok": "clip.mp4", "page": "page", "lies": "page"}
        return web.json_response({"url": f"{self.url}/{paths.get(manner, 'nothing')}"})

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while not self.leaving.is_set():
                await response.write(b" ")
                await asyncio.sleep(0.02)
        except ConnectionResetError:
            pass  # it had enough
        return response


INSIDE = "http://10.255.255.1/clip.mp4"
ODD: dict[str, Callable[[], web.Response]] = {
    "garbage": lambda: web.Response(text="<html>"),
    "huge": lambda: web.Response(body=b" " * 2_000_000, content_type="application/json"),
    "redirect": lambda: web.Response(status=302, headers={"location": INSIDE}),
    "inside": lambda: web.json_response({"url": INSIDE}),
    "list": lambda: web.json_response([{"url": "https://example.com/"}]),
}
