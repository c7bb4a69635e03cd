"""Simulates a gateway with the unified task API (platform manual): ``/v2/{scope}/generations`` and characters."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.gateway import GatewayServer, said


class UnifiedServer(GatewayServer):
    done = "SUCCESS"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v2/{scope}/generations", self.submit_job, methods=["POST"]),
            Route("/v2/{scope}/generations/{task}", self.poll_job, methods=["GET"]),
            Route("/sora/v1/characters", self.create_character, methods=["POST"]),
            *self.task_routes(),
        ]

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if request.path_params["scope"] not in {"videos", "images", "audio"}:
            return said(404, "Not found")
        if not fields.get("prompt") or not fields.get("model"):
            return said(400, "prompt is required", param="prompt")
        if not isinstance(fields.get("duration", ""), str):
            return said(400, "duration must be a string", param="duration")
        return JSONResponse({"task_id": self.accept(request, fields).id})

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        return JSONResponse(self.job_object(job, job.next_state())) if job else said(404, "task not found")

    async def create_character(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        if not (fields.get("url") or fields.get("from_task")) or not fields.get("timestamps"):
            return said(400, "url or from_task is required", param="url")
        return JSONResponse(
            {
                "id": "ch_1",
                "username": "duck.one",
                "permalink": "https://characters.test/duck.one",
                "profile_picture_url": f"{self.links_to or self.url}/files/duck.png",
            }
        )

    def job_object(self, job: VendorJob, word: str) -> dict[str, Any]:
        ended = word in {"SUCCESS", "FAILURE"}
        return {
            "task_id": job.id, "platform": "openai", "action": "sora-video", "status": word,
            "fail_reason": self.failure.get("message", "") if word == "FAILURE" else "",
            "submit_time": 1759674948, "start_time": 1759674963, "finish_time": 1759675403 if ended else 0,
            "progress": "100%" if ended else "37%",
            "data": {"output": self.link(job)} if word == "SUCCESS" else None, "search_item": "",
        }  # fmt: skip
