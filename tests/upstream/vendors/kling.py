"""Kling as it answers: a path for each kind of task, ``{code, message, request_id, data}``, keys or signed tokens."""

import base64
import binascii
import json
import time
from typing import Any, ClassVar

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

KINDS = {"text2video", "image2video", "multi-image2video", "omni-video", "motion-control"}
PICTURES = ("image", "image_tail", "image_url")


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

    def find(self, kind: str, task: str) -> VendorJob | None:
        for job in self.jobs.values():
            names = {job.id} | ({job.fields.get("external_task_id")} if self.knows_external_ids else set())
            if task in names and job.fields["kind"] == kind:
                return job
        return None

    def wrong(self, kind: str, fields: dict[str, Any]) -> str | None:
        if kind not in KINDS or not fields.get("model_name"):
            return "model_name is not supported"
        if not isinstance(fields.get("duration", "5"), str):
            return "duration must be a string"
        if kind == "image2video" and not (fields.get("image") or fields.get("image_tail")):
            return "image is required"
        external = fields.get("external_task_id")
        if external and any(job.fields.get("external_task_id") == external for job in self.jobs.values()):
            return "external_task_id is duplicated"
        items = [fields.get(name) for name in PICTURES]
        items += [one.get("image") or one.get("image_url") for one in fields.get("image_list", [])]
        return (
            None
            if all(is_picture(item) for item in items if item)
            else "File is not in a valid base64 format"
        )

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
