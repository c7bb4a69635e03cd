"""LightX2V's server: typed tasks kept in memory, ids that the caller may choose, FastAPI's errors."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

COMMON = {"task_id", "prompt", "negative_prompt", "image_path", "last_frame_path", "save_result_path", "seed"}
OLD = COMMON | {
    "target_video_length",
    "target_shape",
    "audio_path",
    "video_duration",
    "infer_steps",
    "aspect_ratio",
}
NEW = COMMON | {"num_frames", "size", "audio_path", "video_duration", "ref_image_paths", "aspect_ratio"}


class LightServer(ScriptedServer):
    """``strict``: a newer server, which refuses fields that it does not know."""

    done = "completed"

    def reset(self) -> None:
        super().reset()
        self.strict = False
        self.full = False

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/tasks/{kind}/", self.submit, methods=["POST"]),
            Route("/v1/tasks/{task}/status", self.status, methods=["GET"]),
            Route("/v1/tasks/{task}/result", self.result, methods=["GET"]),
            Route("/v1/tasks/{task}", self.stop, methods=["DELETE"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        unknown = set(fields) - NEW if self.strict else set()
        if unknown:
            problem = {
                "type": "extra_forbidden",
                "loc": ["body", unknown.pop()],
                "msg": "Extra inputs are not permitted",
            }
            return JSONResponse({"detail": [problem]}, 422)
        task = fields.get("task_id") or "generated"
        if self.full or task in self.jobs:
            return JSONResponse({"detail": "Task queue is full (max 100 tasks)"}, 503)
        job = self.create_job(fields, job_id=task)
        told = {
            "task_id": job.id,
            "task_status": "pending",
            "save_result_path": fields.get("save_result_path"),
        }
        return JSONResponse(told)

    async def status(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        return JSONResponse(self.told(job, job.next_state())) if job else missing()

    async def result(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None or job.states[-1] != "completed" or not job.fields.get("save_result_path"):
            return missing("Task result file does not exist")
        return Response(tiny_mp4(), media_type="video/mp4")

    async def stop(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None or (job.states[-1] in {"completed", "failed"} and job.polls >= len(job.states)):
            return JSONResponse(
                {"stop_status": "do_nothing", "reason": "Task not found or already completed."}
            )
        job.states = ["cancelled"]
        return JSONResponse({"stop_status": "success", "reason": "Task stopped successfully."})

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return Response("Unauthorized", 401) if self.keys is not None and token not in self.keys else None

    def told(self, job: VendorJob, word: str) -> dict[str, Any]:
        error = {"failed": self.failure.get("message"), "cancelled": "Task cancelled by user"}.get(word)
        return {
            "task_id": job.id, "status": word, "start_time": "2026-01-01T00:00:00", "end_time": None,
            "error": error, "save_result_path": job.fields.get("save_result_path"),
        }  # fmt: skip


def missing(text: str = "Task not found") -> Response:
    return JSONResponse({"detail": text}, 404)
