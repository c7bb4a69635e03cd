"""A gateway that makes videos through streamed chat completions (chat-video and return-format manuals)."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.gateway import GatewayServer, said

WAIT, CUT = "<wait>", "<cut>"


class CutOff(Exception):
    """The server fell over in the midst of its answer."""


class ChatServer(GatewayServer):
    """``lines`` is what a stream says: texts, chunks as they are, ``WAIT`` (until ``gate`` opens) and ``CUT``."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        super().__init__()

    def reset(self) -> None:
        super().reset()
        self.names_tasks = False
        self.whole: dict[str, Any] | None = None
        self.ends = True
        self.lines: list[str | dict[str, Any]] = ["视频生成成功！[点击这里](https://files.test/video.mp4)"]
        self.gate.clear()

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
            *self.task_routes(),
        ]

    async def chat(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        parts = fields["messages"][-1]["content"]
        if not fields.get("stream") or not parts[0].get("text"):
            return said(400, "messages is required", param="messages")
        job = self.accept(request, {"model": fields["model"], "prompt": parts[0]["text"]})
        headers = {"x-task-id": job.id} if self.names_tasks else {}
        if self.whole is not None:
            return JSONResponse(self.whole, headers=headers)
        return StreamingResponse(self.told(), media_type="text/event-stream", headers=headers)

    async def told(self) -> AsyncIterator[bytes]:
        for line in self.lines:
            if line == WAIT:
                yield b": keep-alive\n\n"
                await asyncio.to_thread(self.gate.wait)
            elif line == CUT:
                raise CutOff
            else:
                yield event(line if isinstance(line, dict) else chunk(line))
        if self.ends:
            yield event({**chunk(""), "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
            yield b"data: [DONE]\n\n"


def chunk(text: str, **told: Any) -> dict[str, Any]:
    delta = {"content": text, **told}
    return {
        "id": "chatcmpl-7", "object": "chat.completion.chunk", "created": 1234567890, "model": "sora-1.0",
        "choices": [{"index": 0, "delta": delta, "finish_reason": None}],
    }  # fmt: skip


def event(document: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(document, ensure_ascii=False).encode() + b"\n\n"
