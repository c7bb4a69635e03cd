"""Simulates SiliconFlow: a submit and a status that are both POST, errors with numeric codes, a 401 that is one string,
links that live for ten minutes."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

FIELDS = {"model", "prompt", "image_size", "image", "negative_prompt", "seed"}
SIZES = {"1280x720", "720x1280", "960x960"}
MODELS = {"Wan-AI/Wan2.2-T2V-A14B", "Wan-AI/Wan2.2-I2V-A14B"}
OLDER = "wan-ai/wan2."


class SiliconFlowServer(ScriptedServer):
    """``dead_links``: the links of so many looks are dead when they are followed."""

    done = "Succeed"
    dead_links = 0

    def reset(self) -> None:
        super().reset()
        self.dead_links = self.looks = 0

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/video/submit", self.submit_job, methods=["POST"]),
            Route("/v1/video/status", self.poll_job, methods=["POST"]),
            Route("/v1/user/info", self.user_info, methods=["GET"]),
            Route("/v1/models", self.list_models, methods=["GET"]),
            Route("/files/{look}/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        refusal = refuse_submit(fields)
        return refusal or JSONResponse({"requestId": self.create_job(fields).id})

    async def poll_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(json.loads(seen.body).get("requestId", ""))
        if job is None:
            return error_response(400, 20015, "requestId is invalid")
        state = str(job.next_state())
        self.looks += 1
        document: dict[str, Any] = {"status": state, "reason": "", "results": None}
        if state == "Failed":
            document["reason"] = self.failure.get("message", "")
        if state == self.done:
            link = f"{self.url}/files/{self.looks}/{job.id}.mp4"
            document["results"] = {"videos": [{"url": link}], "timings": {"inference": 61.5}, "seed": 7}
        return JSONResponse(document)

    async def user_info(self, request: Request) -> Response:
        await self.record_request(request)
        money = {"balance": "0.88", "chargeBalance": "88.00", "totalBalance": "88.88"}
        return self.auth_error(request) or JSONResponse(
            {"code": 20000, "message": "OK", "status": True, "data": {"id": "u-1", **money}}
        )

    async def list_models(self, request: Request) -> Response:
        await self.record_request(request)
        listed = [{"id": model, "object": "model"} for model in sorted(MODELS)]
        return self.auth_error(request) or JSONResponse({"object": "list", "data": listed})

    async def send_file(self, request: Request) -> Response:
        if int(request.path_params["look"]) <= self.dead_links:
            return Response("<Error><Code>AccessDenied</Code></Error>", 403, media_type="application/xml")
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not key or (self.keys is not None and key not in self.keys):
            return JSONResponse("Invalid token", 401)
        return None


def refuse_submit(fields: dict[str, Any]) -> Response | None:
    unknown = sorted(set(fields) - FIELDS)
    if unknown:
        return error_response(400, 20015, f"unknown field: {unknown[0]}")
    model = fields.get("model", "")
    if model not in MODELS and not model.lower().startswith(OLDER):
        return error_response(400, 20012, "Model does not exist. Please check it carefully.")
    if not fields.get("prompt"):
        return error_response(400, 20015, "The parameter is invalid: prompt is required")
    if fields.get("image_size") not in SIZES:
        return error_response(400, 20015, f"image_size must be one of {sorted(SIZES)}")
    image = fields.get("image")
    if ("i2v" in model.lower()) != bool(image):
        return error_response(400, 20015, "The parameter is invalid: image")
    if image and not image.startswith(("https://", "data:image/")):
        return error_response(400, 20015, "image must be a URL or a data URI")
    if not isinstance(fields.get("seed", 1), int):
        return error_response(400, 20015, "seed must be an integer")
    return None


def error_response(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "data": None}, status)
