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
        if set(fields) - IMAGE_FIELDS or not fields.get("prompt"):
            return error_response(422, f"unknown or missing field in {sorted(fields)}")
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


VIDEO_FIELDS = {
    "generations": {
        "model", "prompt", "duration", "aspect_ratio", "resolution", "image", "last_frame", "keyframes",
        "reference_images", "reference_audios", "generate_audio", "storage_options", "user",
    },
    "edits": {"model", "prompt", "video", "storage_options", "user"},
    "extensions": {"model", "prompt", "video", "duration", "storage_options"},
}  # fmt: skip
IMAGE_FIELDS = {
    "model", "prompt", "n", "aspect_ratio", "resolution", "response_format", "image", "images", "user",
}  # fmt: skip


def field_error(way: str, fields: dict[str, Any]) -> str | None:
    """As @ai-sdk/xai 5.0.12 writes requests; what it warns about, xAI refuses."""
    known = VIDEO_FIELDS.get(way)
    if known is None or not fields.get("model"):
        return "missing field `model`"
    unknown = sorted(set(fields) - known)
    if unknown:
        return f"unknown field `{unknown[0]}`"
    if way != "generations" and not fields.get("video", {}).get("url"):
        return "missing field `video`"
    duration = fields.get("duration", 8)
    if not isinstance(duration, int) or not 1 <= duration <= (10 if way == "extensions" else 15):
        return "duration: invalid value"
    return generation_error(fields) if way == "generations" else None


def generation_error(fields: dict[str, Any]) -> str | None:
    newest = fields["model"] == "grok-imagine-video-1.5"
    if not newest and {"last_frame", "keyframes"} & set(fields):
        return f"{fields['model']} supports no last_frame and no keyframes"
    references = {"reference_images", "reference_audios"} & set(fields)
    if references and {"image", "last_frame", "keyframes"} & set(fields):
        return "references can't be combined with frames"
    if fields.get("resolution") == "1080p" and (references or fields["model"] == "grok-imagine-video"):
        return "resolution 1080p is not supported here"
    if len(fields.get("reference_images", [])) > 7 or len(fields.get("reference_audios", [])) > 3:
        return "too many references"
    if fields.get("resolution", "720p") not in {"480p", "720p", "1080p"}:
        return "resolution: unknown variant"
    return None if fields.get("prompt") or fields.get("image") else "missing field `prompt`"


def error_response(status: int, sentence: str) -> Response:
    return JSONResponse({"code": "Client specified an invalid argument", "error": sentence}, status)
