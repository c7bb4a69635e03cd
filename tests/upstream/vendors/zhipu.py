"""Simulates Zhipu: one field for all pictures, states in capitals, errors with a numeric code in ``error``."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import send_film
from tests.upstream.vendors.front import ScriptedServer

COMMON = {"model", "prompt", "request_id", "user_id", "sensitive_word_check", "watermark_enabled"}
COG = COMMON | {"image_url", "quality", "with_audio", "size", "fps"}
VIDU = COMMON | {"size", "duration", "movement_amplitude", "off_peak"}
FIELDS = {
    "cogvideox-3": COG | {"duration"},
    "cogvideox-2": COG,
    "cogvideox-flash": COG,
    "viduq1-text": VIDU | {"style", "aspect_ratio"},
    "viduq1-image": VIDU | {"image_url"},
    "viduq1-start-end": VIDU | {"image_url"},
    "vidu2-image": VIDU | {"image_url", "with_audio"},
    "vidu2-start-end": VIDU | {"image_url", "with_audio"},
    "vidu2-reference": VIDU | {"image_url", "with_audio", "aspect_ratio"},
}
VALUES: dict[str, dict[str, set[Any]]] = {
    "cogvideox-3": {"duration": {5, 10}, "fps": {30, 60}, "quality": {"quality", "speed"}},
    "viduq1": {
        "duration": {5}, "size": {"1920x1080"}, "style": {"general", "anime"},
        "aspect_ratio": {"16:9", "9:16", "1:1"},
    },
    "vidu2": {"duration": {4}, "size": {"1280x720"}, "aspect_ratio": {"16:9", "9:16", "1:1"}},
}  # fmt: skip
PICTURES = {
    "viduq1-image": (1, 1), "vidu2-image": (1, 1), "viduq1-start-end": (2, 2), "vidu2-start-end": (2, 2),
    "vidu2-reference": (1, 3), "cogvideox-3": (0, 2),
}  # fmt: skip
COG_SIZES = {
    "1280x720", "720x1280", "1024x1024", "1920x1080", "1080x1920", "2048x1080", "3840x2160", "1280x960",
    "960x1280", "720x480",
}  # fmt: skip


class ZhipuServer(ScriptedServer):
    done = "SUCCESS"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/paas/v4/videos/generations", self.submit_job, methods=["POST"]),
            Route("/api/paas/v4/async-result/{id}", self.poll_job, methods=["GET"]),
            Route("/files/{name}", send_film, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        refusal = refuse_submit(fields)
        if refusal:
            return refusal
        name = fields["request_id"]
        if any(job.fields["request_id"] == name for job in self.jobs.values()):
            return error_response(400, "1231", f"You already have a request: {name}")
        job = self.create_job(fields)
        task = {"id": job.id, "request_id": name, "model": fields["model"], "task_status": "PROCESSING"}
        return JSONResponse(task)

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return error_response(404, "1222", "the task does not exist")
        state = str(job.next_state())
        document: dict[str, Any] = {
            "id": job.id, "request_id": job.fields["request_id"], "model": job.fields["model"],
            "task_status": state, "video_result": [],
        }  # fmt: skip
        if state == self.done:
            film = {"url": f"{self.url}/files/{job.id}.mp4", "cover_image_url": f"{self.url}/files/c.png"}
            document["video_result"] = [film]
        if state == "FAIL" and self.failure:
            document["error"] = self.failure
        return JSONResponse(document)

    def auth_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.keys is not None and key not in self.keys):
            return error_response(401, "1000", "Authentication Failed")
        return None


def refuse_submit(fields: dict[str, Any]) -> Response | None:
    model = fields.get("model", "")
    if model not in FIELDS:
        return error_response(400, "1211", "Unknown Model, please check the model code.")
    wrong = sorted(set(fields) - FIELDS[model])
    if wrong:
        return error_response(400, "1214", f"The parameter {wrong[0]} is invalid.")
    family = model if model in VALUES else model.split("-")[0]
    for name, allowed in VALUES.get(family, {}).items():
        if name in fields and fields[name] not in allowed:
            return error_response(400, "1214", f"The parameter {name} is invalid.")
    if model.startswith("cogvideox") and fields.get("size", "1920x1080") not in COG_SIZES:
        return error_response(400, "1214", "The parameter size is invalid.")
    if not fields.get("prompt") and not fields.get("image_url"):
        return error_response(400, "1213", "The parameter prompt was not received.")
    if len(fields.get("prompt", "")) > 512 and model.startswith("cogvideox"):
        return error_response(400, "1261", "Prompt is too long.")
    return refuse_pictures(model, fields.get("image_url"))


def refuse_pictures(model: str, given: Any) -> Response | None:
    pictures = [given] if isinstance(given, str) else given or []
    fewest, most = PICTURES.get(model, (0, 1))
    if model == "viduq1-text":
        most = 0
    if not fewest <= len(pictures) <= most:
        return error_response(400, "1214", "The parameter image_url is invalid.")
    if not all(one.startswith(("https://", "data:image/")) for one in pictures):
        return error_response(400, "1214", "The parameter image_url is invalid.")
    return None


def error_response(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)
