"""MiniMax as it answers: v1 with ``base_resp`` in an HTTP 200 and a file to be retrieved, v2 with typed errors."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import Job
from tests.upstream.vendors.front import Scripted

V2_STATUS = {
    "bad_request_error": 400, "authorized_error": 401, "insufficient_balance_error": 402,
    "unprocessable_entity_error": 422, "rate_limit_error": 429, "server_error": 500, "not_found_error": 404,
}  # fmt: skip
KINDS = {"text", "image_url", "video_url", "audio_url"}


class MiniMaxServer(Scripted):
    """v1's word for success; v2's tests say their own."""

    done = "Success"

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/video_generation", self.submit_v1, methods=["POST"]),
            Route("/v1/query/video_generation", self.look_v1, methods=["GET"]),
            Route("/v1/files/retrieve", self.retrieve, methods=["GET"]),
            Route("/v2/video_generation", self.submit_v2, methods=["POST"]),
            Route("/v2/query/video_generation/{task}", self.look_v2, methods=["GET"]),
            Route("/v2/video_generation/{task}", self.delete, methods=["DELETE"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    # ---- v1 ----

    async def submit_v1(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal()
        if refusal:
            return refusal
        if not self.lets_in(request):
            return base(1004, "login fail: Please carry the API secret key")
        fields = json.loads(seen.body)
        frame = fields.get("first_frame_image", "")
        if not fields.get("model") or (frame and not frame.startswith(("data:image/", "https://"))):
            return base(2013, "invalid params")
        if fields.get("duration", 6) not in {6, 10}:
            return base(2013, "invalid params, duration")
        return base(0, "success", task_id=self.submitted(fields).id)

    async def look_v1(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal(look=True)
        if refusal:
            return refusal
        job = self.jobs.get(seen.query["task_id"])
        if not self.lets_in(request) or job is None:
            return base(1004 if job else 2013, "invalid params, task_id")
        word = job.look()
        if word == "Fail":
            code = self.failure.get("code", 1033)
            return base(code if isinstance(code, int) else 1033, self.failure.get("message", ""), status=word)
        done = (
            {"file_id": f"77{job.id[4:]}", "video_width": 1366, "video_height": 768}
            if word == "Success"
            else {}
        )
        return base(0, "success", task_id=job.id, status=word, **done)

    async def retrieve(self, request: Request) -> Response:
        seen = await self.note(request)
        job = self.jobs.get(f"job-{seen.query['file_id'][2:]}")
        if job is None:
            return base(2013, "invalid params, file_id")
        link = f"{self.url}/files/{job.id}.mp4"
        file = {"file_id": int(seen.query["file_id"]), "bytes": 1, "filename": "a.mp4", "download_url": link}
        return base(0, "success", file=file)

    # ---- v2 ----

    async def submit_v2(self, request: Request) -> Response:
        seen = await self.note(request)
        refusal = self.take_refusal() or self.unauthorized_v2(request)
        if refusal:
            return refusal
        fields = json.loads(seen.body)
        content = fields.get("content", [])
        if sum(part["type"] == "text" and bool(part["text"]) for part in content) != 1:
            return typed("bad_request_error", "content needs one text (2013)")
        if any(part["type"] not in KINDS or part["type"] not in part for part in content):
            return typed("bad_request_error", "content (2013)")
        if not isinstance(fields.get("duration"), int) or fields.get("resolution") not in {"768P", "2K"}:
            return typed("bad_request_error", "duration, resolution (2013)")
        if len(content) == 1 and fields.get("ratio", "adaptive") == "adaptive":
            return typed("bad_request_error", "text alone can't be adaptive (2013)")
        return JSONResponse({"task_id": self.submitted(fields).id})

    async def look_v2(self, request: Request) -> Response:
        await self.note(request)
        refusal = self.take_refusal(look=True) or self.unauthorized_v2(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return typed("not_found_error", "task not found")
        return JSONResponse({"task": self.shown(job)})

    def shown(self, job: Job) -> dict[str, Any]:
        word = "cancelled" if job.cancelled else job.look()
        task: dict[str, Any] = {"id": job.id, "model": job.fields.get("model"), "status": word}
        if word == "failed":
            task["error"] = self.failure
        if word == "succeeded":
            task |= {
                "content": {"url": f"{self.url}/files/{job.id}.mp4"}, "resolution": "2K", "duration": 5,
                "ratio": "16:9", "usage": {"total_seconds": 5, "input_seconds": 0, "output_seconds": 5},
            }  # fmt: skip
        return task

    async def delete(self, request: Request) -> Response:
        await self.note(request)
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            return typed("not_found_error", "task not found")
        if job.looks:
            return typed("bad_request_error", "a running task can't be cancelled (2013)")
        job.cancelled = True
        return JSONResponse({})

    def unauthorized_v2(self, request: Request) -> Response | None:
        return None if self.lets_in(request) else typed("authorized_error", "login fail (1004)")

    # ---- both ----

    async def file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def lets_in(self, request: Request) -> bool:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return scheme == "Bearer" and bool(key) and (self.keys is None or key in self.keys)


def base(code: int, message: str, **rest: Any) -> Response:
    return JSONResponse({**rest, "base_resp": {"status_code": code, "status_msg": message}})


def typed(kind: str, message: str) -> Response:
    status = V2_STATUS[kind]
    error = {"type": kind, "message": message, "http_code": str(status)}
    return JSONResponse({"type": "error", "error": error, "request_id": "r-1"}, status)
