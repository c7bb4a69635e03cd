"""The calls of our API that tools need, as one caller makes them."""

from collections.abc import Callable, Mapping
from typing import Any, cast

import httpx2

from app.client import APIError, APIStatusError, AsyncFilmgate, Video, VideoQuote
from app.client.calls import make_call
from app.mcp.call_keys import Conversation

PICTURE_TYPES = ("image/webp", "image/png", "image/jpeg")
LARGEST_PICTURE = 700_000
"""Bytes. What a language model reads of a picture does not grow with it, and hosts bound an answer."""


class GatewayCalls:
    """``async with`` it. ``drains`` says whether the gateway is about to stop, so that nothing waits for it. Above
    ``confirm_above`` US dollars the host wants the person to be asked."""

    def __init__(
        self,
        *,
        key: str,
        base_url: str,
        conversation: Conversation,
        connection: httpx2.AsyncClient | None = None,
        drains: Callable[[], bool] = bool,
        confirm_above: float | None = None,
    ) -> None:
        self._client = AsyncFilmgate(api_key=key, base_url=base_url, http_client=connection)
        self._root = base_url.rstrip("/").removesuffix("/v1")
        self._key = key
        self.conversation = conversation
        self.drains = drains
        self.confirm_above = confirm_above

    async def __aenter__(self) -> "GatewayCalls":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def quote(self, fields: Mapping[str, Any]) -> VideoQuote:
        call = make_call("POST", "/videos/quote", {}, fields=fields)
        return VideoQuote((await self._client.send(call)).json())

    async def create(self, fields: Mapping[str, Any], key: str) -> Video:
        return await self._begin("/videos", fields, key)

    async def edit(self, fields: Mapping[str, Any], key: str) -> Video:
        return await self._begin("/videos/edits", fields, key)

    async def extend(self, fields: Mapping[str, Any], key: str) -> Video:
        return await self._begin("/videos/extensions", fields, key)

    async def _begin(self, path: str, fields: Mapping[str, Any], key: str) -> Video:
        call = make_call("POST", path, {"extra_headers": {"idempotency-key": key}}, fields=fields)
        return Video((await self._client.send(call)).json())

    async def find(self, video_id: str) -> Video:
        return await self._client.videos.retrieve(video_id)

    async def cancel(self, video_id: str) -> Video:
        found = await self.find(video_id)
        await self._client.send(make_call("POST", f"/tasks/{found.id}/cancel", {}))
        return await self.find(found.id)

    async def models(self) -> list[dict[str, Any]]:
        call = make_call("GET", "/models", {"extra_query": {"capabilities": "true"}})
        return cast(list[dict[str, Any]], (await self._client.send(call)).json()["data"])

    async def make_image(self, fields: Mapping[str, Any], key: str) -> dict[str, Any]:
        headers = {"idempotency-key": key}
        call = make_call("POST", "/images/generations", {"extra_headers": headers}, fields=fields)
        return cast(dict[str, Any], (await self._client.send(call)).json())

    async def price_of(self, video_id: str) -> float | None:
        """What a film has cost, in US dollars; None while that is open, and where the gateway has no price for it."""
        client = AsyncFilmgate(
            api_key=self._key, base_url=f"{self._root}/api/v1", http_client=self._client.connection
        )
        try:
            answer = (await client.send(make_call("GET", f"/videos/{video_id}", {}))).json()
        except APIStatusError:
            return None
        return cast("float | None", (answer.get("usage") or {}).get("cost"))

    async def thumbnail(self, video_id: str) -> tuple[bytes, str] | None:
        """A still of a finished film and its media type; None where there is none that a host can show."""
        try:
            found = await self._client.videos.download_content(video_id, variant="thumbnail")
        except APIError:
            return None
        kind = found.response.headers.get("content-type", "").partition(";")[0].strip()
        if kind not in PICTURE_TYPES or len(found.content) > LARGEST_PICTURE:
            return None
        return found.content, kind
