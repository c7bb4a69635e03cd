"""What simulators of gateways share: Bearer keys, OpenAI's error form, tasks, results on themselves."""

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer


class GatewayServer(ScriptedServer):
    """``links_to`` is where results lie: "" for the gateway itself."""

    done = "completed"

    def reset(self) -> None:
        super().reset()
        self.links_to = "https://files.test"
        self.honours_idempotency = False
        self.by_key: dict[str, VendorJob] = {}

    def task_routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/tasks/{task}", self.task, methods=["GET"]),
            Route("/v1/tasks/{task}/cancel", self.cancel, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    def accept(self, request: Request, fields: dict[str, Any]) -> VendorJob:
        key = request.headers.get("idempotency-key", "")
        if self.honours_idempotency and key in self.by_key:
            return self.by_key[key]
        self.by_key[key] = job = self.create_job(fields)
        return job

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not token or (self.keys is not None and token not in self.keys):
            return said(401, "Invalid API key", kind="authentication_error")
        return None

    async def task(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        return JSONResponse(self.shown(job, job.next_state())) if job else said(404, "No such task")

    async def cancel(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return said(404, "No such task")
        job.states, job.cancelled = ["failed"], True
        return JSONResponse(self.shown(job, "failed"))

    async def file(self, request: Request) -> Response:
        await self.record_request(request)
        picture = request.path_params["name"].endswith(".png")
        content = tiny_png() if picture else tiny_mp4()
        return self.unauthorized(request) or Response(
            content, media_type="image/png" if picture else "video/mp4"
        )

    def link(self, job: VendorJob, ending: str = "mp4") -> str:
        return f"{self.links_to or self.url}/files/{job.id}.{ending}?expires=9&signature=a%2Bb"

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        return {
            "task_id": job.id, "status": word, "progress": 45.5 if word == "processing" else 0.0,
            "model": job.fields.get("model"), "prompt": job.fields.get("prompt"),
            "result_urls": [self.link(job)] if word == self.done else [],
            "error_message": self.failure.get("message") if word == "failed" else None,
            "created_at": "2026-01-01T00:00:00", "completed_at": None,
        }  # fmt: skip


def said(
    status: int, message: str, *, param: str | None = None, kind: str = "invalid_request_error"
) -> Response:
    """These gateways' errors; ``code`` is empty."""
    error = {"message": message, "type": kind, "param": param, "code": None}
    return JSONResponse({"error": error}, status)
