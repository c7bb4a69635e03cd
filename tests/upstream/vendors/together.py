"""Simulates Together's ``/v2/videos``: the fields of its ``VideoCreateParams``, errors of OpenAI's form."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import send_film
from tests.upstream.vendors.front import ScriptedServer

TYPES: dict[str, type | tuple[type, ...]] = {
    "model": str, "prompt": str, "seconds": str, "resolution": str, "ratio": str, "negative_prompt": str,
    "width": int, "height": int, "fps": int, "seed": int, "steps": int, "output_quality": int,
    "guidance_scale": (int, float), "generate_audio": bool, "output_format": str, "media": dict,
}  # fmt: skip
MEDIA = {
    "frame_images", "frame_videos", "reference_images", "reference_videos", "source_video", "audio_inputs",
}  # fmt: skip
LENGTHS = {
    "google/veo-3": {"8"}, "google/veo-2": {"5"}, "minimax/hailuo-02": {"6", "10"}, "minimax/video-01": {"5"},
    "kwaivgi/": {"5", "10"}, "bytedance/": {"5", "10"}, "vidu/vidu-2.0": {"4", "8"}, "vidu/vidu-q1": {"5"},
    "black-forest-labs/": {str(number) for number in range(5, 21)},
}  # fmt: skip


class TogetherServer(ScriptedServer):
    done = "completed"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v2/videos", self.submit_job, methods=["POST"]),
            Route("/v2/videos/{id}", self.poll_job, methods=["GET"]),
            Route("/v1/models", self.list_models, methods=["GET"]),
            Route("/shrt/{name}", send_film, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = field_error(fields) or media_error(fields)
        if wrong:
            return error_response(422, f"Input validation error: {wrong}")
        job = self.create_job(fields)
        return JSONResponse(self.job_object(job.id, "in_progress"))

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return error_response(404, "Video job not found")
        return JSONResponse(self.job_object(job.id, str(job.next_state())))

    def job_object(self, name: str, word: str) -> dict[str, Any]:
        fields = self.jobs[name].fields
        document: dict[str, Any] = {
            "id": name, "object": "video", "model": fields["model"], "status": word,
            "created_at": 1_764_400_000, "seconds": fields.get("seconds", "5"),
            "size": f"{fields.get('width', 1366)}x{fields.get('height', 768)}",
        }  # fmt: skip
        if word == self.done:
            document["outputs"] = {"cost": 0.28, "video_url": f"{self.url}/shrt/{name}"}
            document["completed_at"] = 1_764_400_100
        if word in {"failed", "cancelled"}:
            document["error"] = self.failure or {"message": "it ended", "code": None}
        return document

    async def list_models(self, request: Request) -> Response:
        await self.record_request(request)
        return self.auth_error(request) or JSONResponse([{"id": "google/veo-3.0", "object": "model"}])

    def auth_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.keys is not None and key not in self.keys):
            return error_response(401, "Invalid API key provided.", code="invalid_api_key")
        return None


def field_error(fields: dict[str, Any]) -> str | None:
    for name, value in fields.items():
        if name not in TYPES:
            return f"{name}: extra fields not permitted"
        if not isinstance(value, TYPES[name]) or (TYPES[name] is int and isinstance(value, bool)):
            return f"{name}: wrong type"
    if not fields.get("model") or not fields.get("prompt"):
        return "model and prompt are required"
    if ("width" in fields) != ("height" in fields):
        return "width and height go together"
    known = next((able for start, able in LENGTHS.items() if fields["model"].lower().startswith(start)), None)
    if known is not None and fields.get("seconds", min(known)) not in known:
        return f"seconds must be one of {sorted(known)}"
    if fields.get("output_format", "MP4") not in {"MP4", "WEBM"}:
        return "output_format: MP4 or WEBM"
    return None


def media_error(fields: dict[str, Any]) -> str | None:
    media = fields.get("media", {})
    unknown = sorted(set(media) - MEDIA)
    if unknown:
        return f"media.{unknown[0]}: extra fields not permitted"
    frames = media.get("frame_images", [])
    if any(frame.get("frame") not in {"first", "last"} for frame in frames):
        return "media.frame_images.frame"
    pictures = [frame.get("input_image") for frame in frames] + media.get("reference_images", [])
    if not all(is_picture(one) for one in pictures):
        return "a picture is a URL or a data URI"
    clips = [part.get("video") for part in media.get("reference_videos", []) + media.get("frame_videos", [])]
    source, sounds = media.get("source_video"), media.get("audio_inputs", [])
    clips += [source["video"] if isinstance(source, dict) else source] if source else []
    clips += [part["audio"] if isinstance(part, dict) else part for part in sounds]
    return None if all(str(clip).startswith("https://") for clip in clips) else "media must be addresses"


def is_picture(text: Any) -> bool:
    return isinstance(text, str) and text.startswith(("https://", "data:image/"))


def error_response(status: int, message: str, *, code: str | None = None) -> Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return JSONResponse({"id": "o-1", "error": error}, status)
