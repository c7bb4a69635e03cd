"""Simulates Midjourney-Proxy: HTTP 200 with a code, and an empty answer for unknown tasks."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer


class MidjourneyServer(ScriptedServer):
    done = "SUCCESS"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/mj/submit/imagine", self.submit_job, methods=["POST"]),
            Route("/mj/task/list", self.list_jobs, methods=["GET"]),
            Route("/mj/task/{task}/fetch", self.poll_job, methods=["GET"]),
            Route("/mj/task/{task}/cancel", self.cancel_job, methods=["POST"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if not fields.get("prompt", "").strip():
            return code_response(4, "prompt不能为空")
        if any(not item.startswith("data:image/") for item in fields.get("base64Array", [])):
            return code_response(4, "base64格式错误")
        job = self.create_job(fields, job_id=str(1_700_000_000_000 + len(self.jobs)))
        return code_response(22 if len(self.jobs) > 1 else 1, "提交成功", job.id)

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        return JSONResponse(self.job_object(job, job.next_state())) if job else Response(status_code=200)

    async def list_jobs(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.auth_error(request)
        return refusal or JSONResponse([self.job_object(job, job.states[0]) for job in self.jobs.values()])

    async def cancel_job(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job and job.polls < len(job.states):
            job.states = ["FAILURE"]
        return Response(status_code=200)

    def auth_error(self, request: Request) -> Response | None:
        secret = request.headers.get("mj-api-secret", "")
        if self.keys is not None and secret not in self.keys:
            return code_response(9, "验证失败", status=401)
        return None

    def job_object(self, job: VendorJob, word: str) -> dict[str, Any]:
        return {
            "id": job.id, "action": "IMAGINE", "status": word, "prompt": job.fields["prompt"],
            "state": job.fields.get("state"), "submitTime": 1, "startTime": 2, "finishTime": None,
            "progress": "100%" if word == "SUCCESS" else "45%", "buttons": [],
            "imageUrl": f"https://pictures.test/{job.id}.png" if word == "SUCCESS" else None,
            "failReason": self.failure.get("message") if word == "FAILURE" else None,
        }  # fmt: skip


def code_response(code: int, description: str, result: str | None = None, *, status: int = 200) -> Response:
    return JSONResponse(
        {"code": code, "description": description, "result": result, "properties": {}}, status
    )
