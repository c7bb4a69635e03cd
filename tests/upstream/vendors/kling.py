"""Kling as it answers: a path for each kind of task, ``{code, message, request_id, data}``, keys or signed tokens."""

import base64
import binascii
import json
import time
from typing import Any, ClassVar

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Mount, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

ALL = {"model_name", "prompt", "mode", "watermark_info", "callback_url", "external_task_id"}
SHOTS = {"multi_shot", "shot_type", "multi_prompt"}
VIDEO = ALL | SHOTS | {"negative_prompt", "voice_list", "sound", "cfg_scale", "camera_control", "duration"}
FIELDS = {
    "text2video": VIDEO | {"aspect_ratio"},
    "image2video": VIDEO | {"image", "image_tail", "element_list", "static_mask", "dynamic_masks"},
    "multi-image2video": ALL | {"image_list", "negative_prompt", "duration", "aspect_ratio"},
    "omni-video": ALL | SHOTS | {"image_list", "element_list", "video_list", "sound", "aspect_ratio", "duration"},
    "motion-control": ALL
    | {"image_url", "video_url", "element_list", "keep_original_sound", "character_orientation"},
}  # fmt: skip
"""https://kling.ai/document-api: the fields of each path."""
PICTURES = ("image", "image_tail", "image_url")
TAIL_IN_PRO = {"kling-v1-5", "kling-v1-6", "kling-v2-1", "kling-v2-5-turbo", "kling-v2-6"}
THREE_SECONDS_ON = ("kling-v3", "kling-video-o1")
SOUND = {"kling-v2-6": {"pro"}, "kling-v3": {"std", "pro", "4k"}, "kling-v3-omni": {"std", "pro", "4k"}}
KNOWN = {
    "kling-v1", "kling-v1-5", "kling-v1-6", "kling-v2-master", "kling-v2-1", "kling-v2-1-master",
    "kling-v2-5-turbo", "kling-v2-6", "kling-v3", "kling-v3-omni", "kling-video-o1",
}  # fmt: skip


class KlingServer(ScriptedServer):
    """``signers`` are access keys with their secret keys; their tokens are checked by PyJWT."""

    done = "succeed"
    signers: ClassVar = {"access-key": "secret-key-0123456789-0123456789"}
    deduction: Any = "3.5"
    packs: ClassVar = [
        ("online", 118.5),
        ("online", 40.0),
        ("toBeOnline", 500.0),
        ("expired", 7.0),
        ("runOut", 0.0),
    ]
    knows_external_ids = True
    """Whether a look takes the caller's own id."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/account/costs", self.costs, methods=["GET"]),
            Route("/v1/videos/{kind}", self.submit, methods=["POST"]),
            Route("/v1/videos/{kind}", self.listing, methods=["GET"]),
            Route("/v1/videos/{kind}/{task}", self.look, methods=["GET"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        wrong = self.wrong(kind, fields)
        if wrong:
            return said(400, 1201, wrong)
        job = self.create_job(fields | {"kind": kind})
        return self.told(job, "submitted")

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.find(request.path_params["kind"], request.path_params["task"])
        return self.told(job, str(job.next_state())) if job else said(404, 1203, "task not found")

    async def listing(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request)
        if refusal:
            return refusal
        jobs = [job for job in self.jobs.values() if job.fields["kind"] == request.path_params["kind"]]
        return JSONResponse(
            {"code": 0, "message": "SUCCEED", "data": [self.shown(j, "submitted") for j in jobs]}
        )

    async def costs(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        if not 0 < int(seen.query["start_time"]) < int(seen.query["end_time"]):
            return said(400, 1201, "start_time must lie before end_time")
        packs = [
            {"resource_pack_type": "decreasing_total", "status": status, "remaining_quantity": left}
            for status, left in self.packs
        ]
        data = {"code": 0, "msg": "", "resource_pack_subscribe_infos": packs}
        return JSONResponse({"code": 0, "message": "SUCCEED", "request_id": "r-1", "data": data})

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def with_task(self, request: Request) -> None:
        """Puts the id of a look that asks in the query where the other looks have it."""
        request.scope["path_params"]["task"] = request.query_params["task_id"]

    def find(self, kind: str, task: str) -> VendorJob | None:
        for job in self.jobs.values():
            names = {job.id} | ({job.fields.get("external_task_id")} if self.knows_external_ids else set())
            if task in names and job.fields["kind"] == kind:
                return job
        return None

    def wrong(self, kind: str, fields: dict[str, Any]) -> str | None:
        if kind not in FIELDS or not fields.get("model_name"):
            return "model_name is not supported"
        unknown = sorted(set(fields) - FIELDS[kind])
        if unknown:
            return f"unknown parameter: {unknown[0]}"
        external = fields.get("external_task_id")
        if external and any(job.fields.get("external_task_id") == external for job in self.jobs.values()):
            return "external_task_id is duplicated"
        return wrong_inputs(kind, fields) or (wrong_choice(fields) if fields["model_name"] in KNOWN else None)

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token:
            return said(401, 1001, "Authorization is empty")
        if token.count(".") == 2:
            return self.token_refused(token)
        if self.keys is not None and token not in self.keys:
            return said(401, 1002, f"Authorization is invalid: {token}")
        return None

    def token_refused(self, token: str) -> Response | None:
        try:
            access = jwt.decode(token, options={"verify_signature": False}).get("iss", "")
            claims = jwt.decode(token, self.signers.get(access, "nobody"), algorithms=["HS256"])
        except jwt.ExpiredSignatureError:
            return said(401, 1004, "Authorization has expired")
        except jwt.PyJWTError:
            return said(401, 1002, "Authorization is invalid")
        return None if {"iss", "exp", "nbf"} <= set(claims) else said(401, 1000, "claims are missing")

    def told(self, job: VendorJob, word: str) -> Response:
        return JSONResponse(
            {"code": 0, "message": "SUCCEED", "request_id": "r-1", "data": self.shown(job, word)}
        )

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        now = int(time.time() * 1000)
        task: dict[str, Any] = {
            "task_id": job.id, "task_status": word, "created_at": now, "updated_at": now,
            "task_info": {"external_task_id": job.fields.get("external_task_id")},
        }  # fmt: skip
        if word == "failed":
            task["task_status_msg"] = self.failure.get("message", "")
        if word == "succeed":
            video = {"id": "v-1", "url": f"{self.url}/files/{job.id}.mp4", "duration": "5.1"}
            task |= {"task_result": {"videos": [video]}, "final_unit_deduction": self.deduction}
        return task


class ResellerServer(KlingServer):
    """A cloud with Kling's own bodies and answers behind a prefix, polled by query, for a Bearer key."""

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/beta/video/kling/{kind}", self.submit, methods=["POST"]),
            Route("/beta/video/kling/{kind}", self.look, methods=["GET"]),
        ]

    async def look(self, request: Request) -> Response:
        self.with_task(request)
        return await super().look(request)


class PrefixServer(KlingServer):
    """A relay with Kling's own paths behind a name of its own."""

    def routes(self) -> list[BaseRoute]:
        return [Mount("/kling", routes=super().routes())]


def wrong_inputs(kind: str, fields: dict[str, Any]) -> str | None:
    if kind == "image2video" and not (fields.get("image") or fields.get("image_tail")):
        return "image is required"
    if kind == "motion-control" and not {"video_url", "character_orientation", "mode"} <= set(fields):
        return "video_url, character_orientation and mode are required"
    pictures = fields.get("image_list", [])
    shaped = any(one.get("type") == "first_frame" for one in pictures) or fields.get("video_list")
    if kind == "omni-video" and not shaped and not fields.get("aspect_ratio"):
        return "aspect_ratio is required"
    items = [fields.get(name) for name in PICTURES]
    items += [one.get("image") or one.get("image_url") for one in pictures]
    if not all(is_picture(item) for item in items if item):
        return "File is not in a valid base64 format"
    return None


def wrong_choice(fields: dict[str, Any]) -> str | None:
    """What a model does not make, in the words of https://github.com/AceDataCloud/Nexior/pull/581."""
    model, mode, duration = fields["model_name"], fields.get("mode", "std"), fields.get("duration", "5")
    what = f"model/mode/duration({model}/{mode}/{duration}) is not supported"
    if not isinstance(duration, str) or mode not in {"std", "pro", "4k"}:
        return "duration and mode are words"
    lengths = range(3, 16) if model.startswith(THREE_SECONDS_ON) else (5, 10)
    if int(duration) not in lengths or (mode == "4k" and not model.startswith("kling-v3")):
        return what
    if fields.get("image_tail") and model in TAIL_IN_PRO and mode != "pro":
        return f"{what} with image_tail"
    if "sound" in fields and model not in SOUND:
        return f"{what} with sound"
    if fields.get("sound") == "on" and mode not in SOUND[model]:
        return f"{what} with sound"
    if fields.get("aspect_ratio", "16:9") not in {"16:9", "9:16", "1:1"}:
        return "aspect_ratio is not supported"
    return None


def said(status: int, code: int, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "request_id": "r-1"}, status)


def is_picture(item: str) -> bool:
    """An address, or base64 without the ``data:`` prefix that Kling does not take."""
    if item.startswith("https://"):
        return True
    try:
        return len(base64.b64decode(item, validate=True)) > 0
    except binascii.Error:
        return False
