"""Simulates WaveSpeed, Atlas Cloud and MuAPI: one set of models behind three forms of submit, poll and error."""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import VendorJob, send_film
from tests.upstream.vendors.front import ScriptedServer

SEEDANCE = {
    "prompt",
    "duration",
    "resolution",
    "aspect_ratio",
    "ratio",
    "seed",
    "generate_audio",
    "watermark",
}
KLING = {"prompt", "negative_prompt", "duration", "cfg_scale", "sound", "multi_prompt", "shot_type"}
WAN = {"prompt", "negative_prompt", "duration", "resolution", "seed", "audio", "prompt_extend"}
OMNI = {"prompt", "aspect_ratio", "duration", "generate_audio"}
MUAPI_SEEDANCE = {"prompt", "aspect_ratio", "duration", "quality"}
LISTS = {"reference_images", "reference_videos", "reference_audios"}
# A pattern of endpoints, the fields that they take, those that they need, and the lengths that they make.
SCHEMAS: list[tuple[str, set[str], set[str], range]] = [
    (r"bytedance/seedance-2\.0[\w.-]*/text-to-video[\w-]*", SEEDANCE, set(), range(4, 16)),
    (r"bytedance/seedance-2\.0[\w.-]*/image-to-video[\w-]*", SEEDANCE | {"image", "last_image"}, {"image"},
     range(4, 16)),
    (r"bytedance/seedance-2\.0[\w.-]*/reference-to-video[\w-]*", SEEDANCE | LISTS, set(), range(4, 16)),
    (r"kwaivgi/kling-v3\.0-(std|pro)/text-to-video", KLING | {"aspect_ratio"}, set(), range(3, 16)),
    (r"kwaivgi/kling-v3\.0-(std|pro)/image-to-video", KLING | {"image", "end_image"}, {"image"}, range(3, 16)),
    (r"alibaba/wan-2\.7/text-to-video", WAN | {"aspect_ratio", "ratio"}, set(), range(2, 16)),
    (r"alibaba/wan-2\.7/image-to-video", WAN | {"image", "last_image"}, {"image"}, range(2, 16)),
    (r"kling-v3\.0-omni-(standard|pro|4k)-text[\w-]*", OMNI, set(), range(3, 16)),
    (r"kling-v3\.0-omni-(standard|pro|4k)-image[\w-]*", OMNI | {"images_list"}, {"images_list"}, range(3, 16)),
    (r"seedance-2-text-to-video(-fast)?", MUAPI_SEEDANCE, set(), range(4, 16)),
    (r"seedance-2-image-to-video(-fast)?|seedance-2-first-last-frame", MUAPI_SEEDANCE | {"images_list"},
     {"images_list"}, range(4, 16)),
    (r"acme/film", {"prompt", "image", "last_image", "images", "duration", "aspect_ratio", "resolution", "seed"},
     set(), range(1, 100)),
]  # fmt: skip
RATIOS = {"16:9", "9:16", "1:1", "4:3", "3:4", "21:9"}
RESOLUTIONS = {"480p", "720p", "1080p", "1080p-SR", "720P", "1080P"}


class PredictionsServer(ScriptedServer):
    done = "completed"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/api/v3/balance", self.wavespeed_balance, methods=["GET"]),
            Route("/api/v3/predictions/{id}/result", self.wrapped_result, methods=["GET"]),
            Route("/api/v3/{model:path}", self.wavespeed_submit, methods=["POST"]),
            Route("/api/v1/model/generateVideo", self.atlascloud_submit, methods=["POST"]),
            Route("/api/v1/model/prediction/{id}", self.wrapped_result, methods=["GET"]),
            Route("/v1/models", self.atlascloud_models, methods=["GET"]),
            Route("/api/v1/account/balance", self.muapi_balance, methods=["GET"]),
            Route("/api/v1/predictions/{id}/result", self.muapi_result, methods=["GET"]),
            Route("/api/v1/{model:path}", self.muapi_submit, methods=["POST"]),
            Route("/files/{name}", send_film, methods=["GET"]),
        ]

    # ---- WaveSpeed and Atlas Cloud: {"code", "message", "data"} ----

    async def wavespeed_submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        return self.wrapped_submit(request, request.path_params["model"], json.loads(seen.body))

    async def atlascloud_submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        fields = json.loads(seen.body)
        return self.wrapped_submit(request, fields.pop("model", ""), fields)

    def wrapped_submit(self, request: Request, model: str, fields: dict[str, Any]) -> Response:
        refusal = self.take_refusal() or self.bearer_error(request)
        if refusal:
            return refusal
        found = refuse_input(model, fields)
        if found:
            return wrapped_error(*found)
        job = self.create_job(fields | {"model": model})
        return JSONResponse({"code": 200, "message": "success", "data": self.job_object(job, "created")})

    async def wrapped_result(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.bearer_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return wrapped_error(404, "prediction not found")
        data = self.job_object(job, str(job.next_state()))
        return JSONResponse({"code": 200, "message": "success", "data": data})

    async def wavespeed_balance(self, request: Request) -> Response:
        await self.record_request(request)
        told = {"code": 200, "message": "success", "data": {"balance": 12.34}}
        return self.bearer_error(request) or JSONResponse(told)

    async def atlascloud_models(self, request: Request) -> Response:
        await self.record_request(request)
        return self.bearer_error(request) or JSONResponse({"object": "list", "data": []})

    # ---- MuAPI: bare objects, FastAPI's errors ----

    async def muapi_submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.key_error(request)
        if refusal:
            return refusal
        model, fields = request.path_params["model"], json.loads(seen.body)
        found = refuse_input(model, fields)
        if found:
            return JSONResponse({"detail": found[1]}, 422 if found[0] == 400 else found[0])
        job = self.create_job(fields | {"model": model})
        return JSONResponse({"request_id": job.id, "status": "processing"})

    async def muapi_result(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.key_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["id"])
        if job is None:
            return JSONResponse({"detail": "Prediction not found"}, 404)
        return JSONResponse(self.job_object(job, str(job.next_state())))

    async def muapi_balance(self, request: Request) -> Response:
        await self.record_request(request)
        told = {"balance": 5.5, "currency": "usd", "email": "a@b.test"}
        return self.key_error(request) or JSONResponse(told)

    def job_object(self, job: VendorJob, word: str) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": job.id, "model": job.fields["model"], "status": word, "outputs": [], "error": "",
            "urls": {"get": f"{self.url}/api/v3/predictions/{job.id}/result"},
        }  # fmt: skip
        if word == self.done:
            document |= {"outputs": [f"{self.url}/files/{job.id}.mp4"], "timings": {"inference": 2500}}
        if word == "failed":
            document |= {"error": self.failure.get("message", ""), "code": self.failure.get("code", 1405)}
        return document

    def bearer_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not self.lets_in(key):
            return wrapped_error(401, "Invalid API key")
        return None

    def key_error(self, request: Request) -> Response | None:
        key = request.headers.get("x-api-key", "")
        return None if self.lets_in(key) else JSONResponse({"detail": "Invalid API key"}, 401)

    def lets_in(self, key: str) -> bool:
        return bool(key) and (self.keys is None or key in self.keys)


def refuse_input(model: str, fields: dict[str, Any]) -> tuple[int, str] | None:
    """HTTP status and sentence."""
    schema = next((rest for pattern, *rest in SCHEMAS if re.fullmatch(pattern, model)), None)
    if schema is None:
        return 404, f"model {model} not found"
    known, needed, lengths = schema
    for name in sorted(set(fields) - set(known)):
        return 400, f"Unknown parameter: {name}"
    if not fields.get("prompt"):
        return 400, "Missing parameter: prompt"
    for name in sorted(needed):
        if not fields.get(name):
            return 400, f"Missing parameter: {name}"
    duration = fields.get("duration", 5)
    if not isinstance(duration, int) or duration not in lengths:
        return 400, "Invalid parameter: duration"
    if {fields.get("aspect_ratio", "1:1"), fields.get("ratio", "1:1")} - RATIOS:
        return 400, "Invalid parameter: aspect_ratio"
    if fields.get("resolution", "720p") not in RESOLUTIONS:
        return 400, "Invalid parameter: resolution"
    return refuse_media(fields)


def refuse_media(fields: dict[str, Any]) -> tuple[int, str] | None:
    names = {"image", "last_image", "end_image", "images", "images_list", "audio"} | LISTS
    for name in sorted(names & set(fields)):
        listed = fields[name] if isinstance(fields[name], list) else [fields[name]]
        if isinstance(fields[name], list) != (name in LISTS | {"images", "images_list"}):
            return 400, f"Invalid parameter: {name}"
        if not all(isinstance(one, str) and one.startswith(("https://", "data:")) for one in listed):
            return 400, f"Unable to access media: {name}"
    return None


def wrapped_error(status: int, message: str) -> Response:
    return JSONResponse({"code": status, "message": message}, status)
