"""Black Forest Labs as it answers: a path per model, ``polling_url`` at the cluster that took the task."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

COMMON = {"prompt", "seed", "safety_tolerance", "output_format", "prompt_upsampling"}
SIZED, SHAPED = {"width", "height"}, {"aspect_ratio"}
NUMBERED = tuple("input_image" if number == 1 else f"input_image_{number}" for number in range(1, 9))
PICTURES: dict[str, set[str]] = {
    "flux-kontext": COMMON | SHAPED | set(NUMBERED[:4]),
    "flux-pro-1.1-ultra": COMMON | SHAPED | {"image_prompt", "image_prompt_strength", "raw"},
    "flux-pro": COMMON | SIZED | {"image_prompt"},
    "flux-dev": COMMON | SIZED | {"image_prompt", "steps", "guidance"},
    "flux": COMMON | SIZED | set(NUMBERED) | {"steps", "guidance"},
}
"""By the beginning of a model's name."""
VIDEO_FIELDS = {
    "mode", "prompt", "aspect_ratio", "duration", "resolution", "keyframes", "start_video", "generate_audio",
    "draft", "safety_tolerance",
}  # fmt: skip
VIDEO_RATIOS = {"auto", "21:9", "2:1", "16:9", "4:3", "1:1", "3:4", "9:16"}


class BFLServer(ScriptedServer):
    """``cluster`` is the origin of ``polling_url``; a region knows the tasks of ``home``."""

    done = "Ready"
    cluster: str | None = None
    home: "BFLServer | None" = None
    details: Any = None

    def reset(self) -> None:
        super().reset()
        self.cluster, self.details = None, None

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/get_result", self.look, methods=["GET"]),
            Route("/v1/credits", self.credits, methods=["GET"]),
            Route("/v1/{model}", self.submit, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields, model = json.loads(seen.body), request.path_params["model"]
        wrong = wrong_with(model, fields)
        if wrong:
            return JSONResponse(
                {"detail": [{"loc": ["body", wrong], "msg": "Invalid", "type": "value_error"}]}, 422
            )
        job = self.create_job(fields | {"model": model})
        origin = self.cluster if self.cluster is not None else self.url
        told = {"id": job.id, "polling_url": f"{origin}/v1/get_result?id={job.id}", "cost": 3.0}
        return JSONResponse({**told, "input_mp": 0.0, "output_mp": 1.05})

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        task = request.query_params.get("id", "")
        job = (self.home or self).jobs.get(task)
        if job is None:
            return JSONResponse({"id": task, "status": "Task not found", "result": None})
        return JSONResponse(self.shown(job, str(job.next_state())))

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        told: dict[str, Any] = {
            "id": job.id,
            "status": word,
            "result": None,
            "progress": None,
            "details": None,
        }
        if word == "Pending":
            told["progress"] = 0.25
        if word == "Ready":
            video = "video" in job.fields["model"]
            name = f"{job.id}.mp4" if video else f"{job.id}.jpeg"
            told["result"] = {"sample": f"{self.url}/files/{name}?sig=1", "seed": 42, "prompt": "A red kite"}
            told |= {"cost": 2.5} if video else {}
            told["result"] |= {"duration": 5.0} if video else {}
        if word == "Error":
            told["details"] = self.failure.get("message")
        if word.endswith("Moderated"):
            told["details"] = self.details or {"Moderation Reasons": ["Derivative Works Filter"]}
        return told

    async def credits(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        return refusal or JSONResponse({"credits": 987.5})

    async def file(self, request: Request) -> Response:
        video = request.path_params["name"].endswith(".mp4")
        return Response(tiny_mp4() if video else tiny_png())

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("x-key", "")
        if not key or (self.keys is not None and key not in self.keys):
            return JSONResponse({"detail": "Not authenticated - Invalid Authentication"}, 403)
        return None


def wrong_with(model: str, fields: dict[str, Any]) -> str | None:
    """The field that does not fit."""
    video = "video" in model
    known = (
        VIDEO_FIELDS if video else next(found for name, found in PICTURES.items() if model.startswith(name))
    )
    strange = sorted(set(fields) - known)
    if strange:
        return strange[0]
    if "prompt" not in fields:
        return "prompt"
    if video and wrong_with_video(fields):
        return wrong_with_video(fields)
    if any(str(value).startswith("data:") for value in [*fields.values(), *(fields.get("keyframes") or [])]):
        return "input_image"
    if fields.get("width", 16) % 16 or fields.get("height", 16) % 16:
        return "width"
    return None


def wrong_with_video(fields: dict[str, Any]) -> str | None:
    mode, length = fields.get("mode"), fields.get("duration", 5)
    wants = {"t2v": None, "i2v": "keyframes", "v2v": "start_video"}
    if mode not in wants:
        return "mode"
    for name in ("keyframes", "start_video"):
        if (wants[mode] == name) != (name in fields):
            return name
    if not isinstance(length, int) or not 5 <= length <= 20:
        return "duration"
    if fields.get("resolution", "hd") not in {"hd", "fhd"}:
        return "resolution"
    return None if fields.get("aspect_ratio", "auto") in VIDEO_RATIOS else "aspect_ratio"
