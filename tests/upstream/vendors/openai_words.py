"""OpenAI's APIs beside videos: chat with tools, responses, completions, judging, ordering, images and sound."""

import base64
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_png
from tests.upstream.vendors.base import VendorServer

WORDS = ("Hello", " from", " upstream")
SAID = "".join(WORDS)
SOUND = b"ID3" + bytes(range(256)) * 8
USED = {"input_tokens": 7, "output_tokens": 3, "total_tokens": 10}
COUNTED = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
Fields = dict[str, Any]


class WordsServer(VendorServer):
    """Whoever offers a tool gets it called with ``{"city": "Oslo"}``, until its result is told."""

    def routes(self) -> list[BaseRoute]:
        answers = {
            "chat/completions": self.chat,
            "responses": self.responses,
            "completions": self.completions,
            "embeddings": self.embeddings,
            "moderations": self.moderations,
            "rerank": self.rerank,
            "images/generations": self.images,
            "images/edits": self.images,
            "audio/speech": self.speech,
            "audio/transcriptions": self.writing,
            "audio/translations": self.writing,
        }
        return [Route(f"/v1/{path}", answer, methods=["POST"]) for path, answer in answers.items()]

    async def fields(self, request: Request) -> Fields:
        found: Fields = json.loads((await self.record_request(request)).body)
        return found

    async def chat(self, request: Request) -> Response:
        fields = await self.fields(request)
        common = {"id": "chatcmpl-words", "created": 1, "model": fields["model"]}
        calls = bool(fields.get("tools")) and fields["messages"][-1]["role"] != "tool"
        message = {"role": "assistant", **(called(fields) if calls else {"content": SAID})}
        reason = "tool_calls" if calls else "stop"
        if not fields.get("stream"):
            choice = {"index": 0, "message": message, "finish_reason": reason}
            return JSONResponse(
                {**common, "object": "chat.completion", "choices": [choice], "usage": COUNTED}
            )
        deltas = pieces(message) if calls else [{"content": word} for word in WORDS]
        told = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas] + [
            {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}
        ]
        if (fields.get("stream_options") or {}).get("include_usage"):
            told.append({"choices": [], "usage": COUNTED})
        chunks = [{**common, "object": "chat.completion.chunk", **one} for one in told]
        return events([("", chunk) for chunk in chunks], done=True)

    async def responses(self, request: Request) -> Response:
        fields = await self.fields(request)
        content = {"type": "output_text", "text": SAID, "annotations": [], "logprobs": []}
        item = {
            "id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [content],
        }  # fmt: skip
        response = {
            "id": "resp_1", "object": "response", "created_at": 1, "model": fields["model"], "usage": USED,
            "status": "completed", "output": [item], "parallel_tool_calls": True, "tools": [],
            "tool_choice": "auto", "error": None, "incomplete_details": None, "instructions": None,
        }  # fmt: skip
        if not fields.get("stream"):
            return JSONResponse(response)
        begun = {**response, "status": "in_progress", "output": []}
        place = {"item_id": "msg_1", "output_index": 0, "content_index": 0, "logprobs": []}
        told: list[tuple[str, Fields]] = [("response.created", {"response": begun})]
        told += [("response.output_item.added", {"output_index": 0, "item": {**item, "content": []}})]
        told += [("response.content_part.added", {**place, "part": {**content, "text": ""}})]
        told += [("response.output_text.delta", {**place, "delta": word}) for word in WORDS]
        told += [("response.completed", {"response": response})]
        return events(
            [(kind, {"type": kind, "sequence_number": n, **one}) for n, (kind, one) in enumerate(told)]
        )

    async def completions(self, request: Request) -> Response:
        fields = await self.fields(request)
        choice = {"index": 0, "text": SAID, "finish_reason": "stop", "logprobs": None}
        told = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": fields["model"]}
        return JSONResponse({**told, "choices": [choice], "usage": COUNTED})

    async def embeddings(self, request: Request) -> Response:
        fields = await self.fields(request)
        data = [{"object": "embedding", "index": 0, "embedding": [0.5]}]
        return JSONResponse({"object": "list", "data": data, "model": fields["model"], "usage": COUNTED})

    async def moderations(self, request: Request) -> Response:
        fields = await self.fields(request)
        result = {"flagged": True, "categories": {"violence": True}, "category_scores": {"violence": 0.9}}
        return JSONResponse({"id": "modr-1", "model": fields["model"], "results": [result]})

    async def rerank(self, request: Request) -> Response:
        fields = await self.fields(request)
        ranked = [{"index": n, "relevance_score": 1 / (n + 1)} for n, _ in enumerate(fields["documents"])]
        return JSONResponse({"results": ranked, "usage": COUNTED})

    async def images(self, request: Request) -> Response:
        await self.record_request(request)
        picture = base64.b64encode(tiny_png()).decode()
        return JSONResponse({"created": 1, "data": [{"b64_json": picture}], "usage": USED})

    async def speech(self, request: Request) -> Response:
        await self.fields(request)
        return Response(SOUND, media_type="audio/mpeg")

    async def writing(self, request: Request) -> Response:
        seen = await self.record_request(request)
        if b'name="response_format"\r\n\r\ntext' in seen.body:
            return PlainTextResponse(SAID)
        return JSONResponse({"text": SAID, "usage": {"type": "tokens", **USED}})


def called(fields: Fields) -> Fields:
    function = {"name": fields["tools"][0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
    return {"content": None, "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}


def pieces(message: Fields) -> list[Fields]:
    """The call as a stream tells it: its name, then its arguments in two parts."""
    [call] = message["tool_calls"]
    text = call["function"]["arguments"]
    begun = {**call, "index": 0, "function": {**call["function"], "arguments": ""}}
    parts = [{"index": 0, "function": {"arguments": part}} for part in (text[:6], text[6:])]
    return [{"tool_calls": [one]} for one in (begun, *parts)]


def events(told: list[tuple[str, Fields]], *, done: bool = False) -> Response:
    frames = [(f"event: {name}\n" if name else "") + f"data: {json.dumps(one)}\n\n" for name, one in told]
    return Response("".join(frames) + ("data: [DONE]\n\n" if done else ""), media_type="text/event-stream")
