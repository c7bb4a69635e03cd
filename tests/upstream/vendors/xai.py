"""Simulates xAI's REST API: 202 while a video is made, an error as a sentence with a code beside it."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

TICKS = 3_500_000_000
PENDING = {"pending", "queued", "processing"}


class XAIServer(ScriptedServer):
    """``silent``: polls of running jobs have no body. ``video`` and ``pictures``: sent instead of the result."""

    done = "done"
    silent = False
    video: dict[str, Any] | None = None
    pictures: dict[str, Any] | None = None

    def reset(self) -> None:
        super().reset()
        self.silent, self.video, self.pictures = False, None, None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/videos/{way}", self.submit_job, methods=["POST"]),
            Route("/v1/videos/{id}", self.poll_job, methods=["GET"]),
            Route("/v1/images/{way}", self.create_image, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields, way = json.loads(seen.body), request.path_params["way"]
        wrong = field_error(way, fields)
        if wrong:
            return error_response(422, wrong)
        return JSONResponse({"request_id": self.create_job(fields).id})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return error_response(404, "Request not found")
        word = job.next_state()
        if word in PENDING:
            document = {"status": word, "progress": 40}
            return Response(status_code=202) if self.silent else JSONResponse(document, 202)
        return JSONResponse(self.job_object(job.id, str(word)))

    def job_object(self, job: str, word: str) -> dict[str, Any]:
        video: dict[str, Any] = {"duration": 0, "respect_moderation": True}
        if word == "failed":
            return {"status": word, "video": video, "model": "", "error": self.failure}
        if word == "done":
            video = {"url": f"{self.url}/files/{job}.mp4", "duration": 6, "respect_moderation": True}
        usage = {"cost_in_usd_ticks": TICKS}
        document: dict[str, Any] = {
            "status": word,
            "video": self.video or video,
            "model": "m",
            "usage": usage,
        }
        return {name: value for name, value in document.items() if value != ""}

    async def create_image(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if request.path_params["way"] == "edits" and not (fields.get("image") or fields.get("images")):
            return error_response(422, "image is required")
        self.create_job(fields)
        one = {"url": f"{self.url}/files/a.jpeg", "mime_type": "image/jpeg", "revised_prompt": ""}
        return JSONResponse(self.pictures or {"data": [one], "usage": {"cost_in_usd_ticks": TICKS}})

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key:
            return error_response(401, "No API key provided.")
        if self.keys is not None and key not in self.keys:
            return error_response(
                400, f"Incorrect API key provided: {key[:2]}***{key[-2:]}. Obtain one from the console."
            )
        return None


def field_error(way: str, fields: dict[str, Any]) -> str | None:
    if way not in {"generations", "edits", "extensions"} or not fields.get("model"):
        return "missing field `model`"
    if way != "generations" and not fields.get("video", {}).get("url"):
        return "missing field `video`"
    if way == "edits" and {"duration", "aspect_ratio", "resolution"} & set(fields):
        return "an edit keeps the length and the shape"
    return None if isinstance(fields.get("duration", 8), int) else "duration: invalid type"


def error_response(status: int, sentence: str) -> Response:
    return JSONResponse({"code": "Client specified an invalid argument", "error": sentence}, status)
