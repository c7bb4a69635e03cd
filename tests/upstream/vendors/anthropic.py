"""Anthropic's messages API, whole and streamed, with its own error form; and its layer for OpenAI's SDK."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import VendorServer

VERSIONS = {"2023-06-01", "2026-10-21"}
WORDS = ("A ", "red ", "kite.")
ARGUMENTS = {"city": "Oslo"}


class AnthropicServer(VendorServer):
    key = "sk-ant-0123456789"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/messages", self.messages, methods=["POST"]),
            Route("/v1/messages/count_tokens", self.count, methods=["POST"]),
            Route("/v1/chat/completions", self.chat, methods=["POST"]),
        ]

    async def messages(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.refused(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if "max_tokens" not in fields:
            return error(400, "invalid_request_error", "max_tokens: Field required")
        calls = bool(fields.get("tools")) and "tool_result" not in json.dumps(fields["messages"][-1])
        message = {
            "id": "msg_01", "type": "message", "role": "assistant", "model": fields["model"],
            "content": [called(fields) if calls else {"type": "text", "text": "".join(WORDS)}],
            "stop_reason": "tool_use" if calls else "end_turn",
            "stop_sequence": None, "usage": {"input_tokens": 9, "output_tokens": 4},
        }  # fmt: skip
        if not fields.get("stream"):
            return JSONResponse(message)
        return Response(b"".join(events(message)), media_type="text/event-stream")

    async def count(self, request: Request) -> Response:
        await self.record_request(request)
        return self.refused(request) or JSONResponse({"input_tokens": 9})

    async def chat(self, request: Request) -> Response:
        seen = await self.record_request(request)
        if request.headers.get("authorization") != f"Bearer {self.key}":
            return error(401, "authentication_error", "invalid bearer token")
        choice = {
            "index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "".join(WORDS)},
        }  # fmt: skip
        model = json.loads(seen.body)["model"]
        return JSONResponse(
            {"id": "msg_02", "object": "chat.completion", "created": 1, "model": model, "choices": [choice]}
        )

    def refused(self, request: Request) -> Response | None:
        # The second is how its SDKs send the key since version 2026-10-21.
        told = {request.headers.get("x-api-key"), request.headers.get("authorization")}
        if not told & {self.key, f"Bearer {self.key}"}:
            return error(401, "authentication_error", "invalid x-api-key")
        version = request.headers.get("anthropic-version")
        if version not in VERSIONS:
            return error(400, "invalid_request_error", "anthropic-version: header is required")
        sampling = {"temperature", "top_p", "top_k"} & set(json.loads(self.seen[-1].body))
        if sampling and version == "2026-10-21":
            return error(400, "invalid_request_error", f"{sampling.pop()}: Extra inputs are not permitted")
        return None


def called(fields: dict[str, Any]) -> dict[str, Any]:
    """Whoever offers a tool gets it called, until its result is told."""
    return {"type": "tool_use", "id": "toolu_1", "name": fields["tools"][0]["name"], "input": ARGUMENTS}


def events(message: dict[str, Any]) -> list[bytes]:
    begun = {**message, "content": [], "stop_reason": None}
    [block] = message["content"]
    empty, deltas = ({**block, "text": ""}, [{"type": "text_delta", "text": word} for word in WORDS])
    if block["type"] == "tool_use":
        text = json.dumps(block["input"])
        empty = {**block, "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": part} for part in (text[:6], text[6:])]
    ended = {"stop_reason": message["stop_reason"], "stop_sequence": None}
    told: list[dict[str, Any]] = [
        {"type": "message_start", "message": begun},
        {"type": "content_block_start", "index": 0, "content_block": empty},
        *({"type": "content_block_delta", "index": 0, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": ended, "usage": {"output_tokens": 4}},
        {"type": "message_stop"},
    ]
    return [f"event: {one['type']}\ndata: {json.dumps(one)}\n\n".encode() for one in told]


def error(status: int, kind: str, message: str) -> Response:
    return JSONResponse({"type": "error", "error": {"type": kind, "message": message}}, status)
