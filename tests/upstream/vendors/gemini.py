"""Gemini's Interactions API as it answers: background work, ``steps`` with blocks, files behind the key."""

import base64
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer
from tests.upstream.vendors.google import error_response

CREATED = "2026-11-20T10:00:00Z"
USAGE = {
    "total_tokens": 57_960, "total_input_tokens": 20, "total_output_tokens": 57_940,
    "output_tokens_by_modality": [{"modality": "video", "tokens": 57_920}, {"modality": "text", "tokens": 20}],
}  # fmt: skip


class GeminiServer(ScriptedServer):
    """Besides Google's states: ``refusal`` (completed with a sentence), ``nothing``, ``lost`` (billed, no video)."""

    done = "completed"

    def reset(self) -> None:
        super().reset()
        self.host = ""
        """Where videos lie; empty: here."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/{version}/interactions", self.submit, methods=["POST"]),
            Route("/{version}/interactions/{job}/cancel", self.cancel, methods=["POST"]),
            Route("/{version}/interactions/{job}", self.look, methods=["GET"]),
            Route("/{version}/files/{name}", self.file, methods=["GET"]),
            Route("/{version}/openai/chat/completions", self.chat, methods=["POST"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        wrong = wrong_in(fields)
        if wrong:
            return JSONResponse({"error": {"code": "invalid_request", "message": wrong}}, 400)
        return JSONResponse(self.shown(self.create_job(fields), "in_progress"))

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["job"])
        if job is None:
            return error_response(404, "NOT_FOUND", "Interaction not found")
        return JSONResponse(self.shown(job, "cancelled" if job.cancelled else job.next_state()))

    async def cancel(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        job = self.jobs.get(request.path_params["job"])
        if refusal or job is None:
            return refusal or error_response(404, "NOT_FOUND", "Interaction not found")
        if job.cancelled:
            return error_response(400, "FAILED_PRECONDITION", "Interaction has ended")
        job.cancelled = True
        return JSONResponse(self.shown(job, "cancelled"))

    async def file(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request)
        if refusal:
            return refusal
        if request.query_params.get("alt") != "media":
            return JSONResponse({"name": request.path_params["name"]})
        return Response(tiny_mp4(), media_type="video/mp4")

    async def chat(self, request: Request) -> Response:
        seen = await self.record_request(request)
        if seen.headers.get("authorization", "")[7:] not in (
            self.keys or [seen.headers["authorization"][7:]]
        ):
            return error_response(401, "UNAUTHENTICATED", "No")
        choice = {
            "index": 0,
            "finish_reason": "stop",
            "message": {"role": "assistant", "content": "A kite"},
        }
        return JSONResponse({"id": "c", "object": "chat.completion", "choices": [choice]})

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("x-goog-api-key", "")
        if not key or (self.keys is not None and key not in self.keys):
            # Google's own answer to a wrong key is a 400.
            return error_response(
                400, "INVALID_ARGUMENT", f"API key not valid: {key}", reason="API_KEY_INVALID"
            )
        return None

    def shown(self, job: VendorJob, state: str) -> dict[str, Any]:
        word = state if state not in {"refusal", "nothing", "lost"} else "completed"
        shown: dict[str, Any] = {
            "id": job.id, "object": "interaction", "status": word, "model": job.fields["model"],
            "created": CREATED, "updated": CREATED,
        }  # fmt: skip
        if state == "failed":
            shown["errors"] = [{"code": self.failure.get("code"), "message": self.failure.get("message")}]
        if state == "completed":
            shown |= {"steps": [{"type": "thought"}, output(self.video(job))], "usage": USAGE}
        if state == "refusal":
            shown["steps"] = [output({"type": "text", "text": "I can't make that."})]
        if state == "lost":
            shown |= {"steps": [], "usage": USAGE}
        return shown

    def video(self, job: VendorJob) -> dict[str, str]:
        if job.fields["response_format"].get("delivery") != "uri" or self.host == "inline":
            content = base64.b64encode(tiny_mp4()).decode()
            return {"type": "video", "mime_type": "video/mp4", "data": content}
        name = job.id.replace("-", "")
        where = f"{self.host or self.url}/v1beta/files/{name}:download?alt=media"
        return {"type": "video", "mime_type": "video/mp4", "uri": where}


def output(*blocks: dict[str, str]) -> dict[str, Any]:
    return {"type": "model_output", "content": list(blocks)}


FIELDS = {
    "model", "input", "background", "store", "response_format", "generation_config", "previous_interaction_id",
    "labels", "system_instruction", "stream", "service_tier", "webhook_config", "safety_settings",
}  # fmt: skip
FORMAT_FIELDS = {"type", "delivery", "aspect_ratio", "resolution", "duration", "gcs_uri"}
CONFIG_FIELDS = {"seed", "video_config", "temperature", "top_p", "max_output_tokens", "stop_sequences"}
"""As the types of google-genai 3.4.0 have them."""
TASKS = {"text_to_video", "image_to_video", "reference_to_video", "edit", "extend", "upscale"}


def wrong_in(fields: dict[str, Any]) -> str | None:
    form, config = fields.get("response_format", {}), fields.get("generation_config", {})
    unknown = sorted(set(fields) - FIELDS | set(form) - FORMAT_FIELDS | set(config) - CONFIG_FIELDS)
    if unknown:
        return f"Unknown field: {unknown[0]}"
    if "omni" not in fields.get("model", "") or not fields.get("background"):
        return "This model can't be used so"
    if config.get("video_config", {}).get("task", "edit") not in TASKS:
        return "Unknown task"
    return format_error(fields["model"], form) or input_error(fields["input"])


def format_error(model: str, form: dict[str, Any]) -> str | None:
    duration = str(form.get("duration", "8s"))
    if form.get("type") != "video" or not duration.endswith("s"):
        return "duration must be a Duration"
    if not 3 <= float(duration.removesuffix("s")) <= (15 if "1.2" in model else 10):
        return "duration is out of range"
    if form.get("aspect_ratio", "16:9") not in {"16:9", "9:16"}:
        return "aspect_ratio is not supported"
    return None if form.get("resolution", "720p") in {"360p", "720p", "1080p", "4k"} else "Unknown resolution"


def input_error(given: Any) -> str | None:
    steps = given if isinstance(given, list) else []
    if any("type" in step and step["type"] not in {"user_input", "text", "image", "video"} for step in steps):
        return "Unknown step"
    blocks = [block for step in steps for block in step.get("content", [step])]
    known = all(block.get("text") or block.get("data") or block.get("uri") for block in blocks)
    return None if known else "Content is empty"
