"""DashScope as it answers: a path for each kind of work, tasks in one place, pictures made while one waits, and
the storage that it lends for inputs."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4, tiny_png
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

SERVICES = "/api/v1/services/aigc"
WORKS = {
    "video-generation/video-synthesis",
    "image2video/video-synthesis",
    "text2image/image-synthesis",
    "image2image/image-synthesis",
    "image-generation/generation",
}
MEDIA = {
    "first_frame", "last_frame", "reference_image", "reference_video", "reference_audio", "driving_audio",
    "first_clip", "video",
}  # fmt: skip


class DashScopeServer(ScriptedServer):
    done = "SUCCEEDED"
    uploads: dict[str, bytes]
    upload_host: str | None = None
    """What it names as its storage; None: itself."""
    refuse_upload: int | None = None

    def reset(self) -> None:
        super().reset()
        self.uploads, self.upload_host, self.refuse_upload = {}, None, None

    def routes(self) -> list[BaseRoute]:
        return [
            Route(SERVICES + "/multimodal-generation/generation", self.picture, methods=["POST"]),
            Route(SERVICES + "/{group}/{function}", self.submit, methods=["POST"]),
            Route("/api/v1/tasks", self.listing, methods=["GET"]),
            Route("/api/v1/tasks/{task}", self.look, methods=["GET"]),
            Route("/api/v1/tasks/{task}/cancel", self.cancel, methods=["POST"]),
            Route("/api/v1/uploads", self.policy, methods=["GET"]),
            Route("/", self.store, methods=["POST"]),
            Route("/files/{name}", self.file, methods=["GET"]),
        ]

    async def submit(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        work = f"{request.path_params['group']}/{request.path_params['function']}"
        if seen.headers.get("x-dashscope-async") != "enable":
            return said(403, "AccessDenied", "current user api does not support synchronous calls.")
        fields = json.loads(seen.body)
        wrong = "url error" if work not in WORKS else self.wrong(fields, seen.headers)
        if wrong:
            return said(400, "InvalidParameter", wrong)
        job = self.create_job(fields | {"work": work})
        output = {"task_id": job.id, "task_status": "PENDING"}
        return JSONResponse({"output": output, "request_id": "r-1"})

    async def look(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        if job is None:
            output = {"task_id": request.path_params["task"], "task_status": "UNKNOWN"}
            return JSONResponse({"request_id": "r-1", "output": output})
        return JSONResponse(self.shown(job, str(job.next_state())))

    async def listing(self, request: Request) -> Response:
        await self.record_request(request)
        rows = [{"task_id": job.id, "model_name": job.fields["model"]} for job in self.jobs.values()]
        return JSONResponse({"request_id": "r-1", "data": rows, "total": len(rows), "page_no": 1})

    async def cancel(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["task"])
        state = job.states[min(max(job.polls - 1, 0), len(job.states) - 1)] if job else ""
        if job is None or state != "PENDING":
            return said(400, "UnsupportedOperation", "Failed to cancel the task, please confirm its status.")
        job.states, job.cancelled = ["CANCELED"], True
        return JSONResponse({"request_id": "r-1"})

    async def picture(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.unauthorized(request)
        if refusal:
            return refusal
        wrong = self.wrong(json.loads(seen.body), seen.headers)
        if wrong:
            return said(400, "InvalidParameter", wrong)
        self.counts["submit"] += 1
        output = {"choices": self.choices()}
        return JSONResponse({"output": output, "usage": {"image_count": 1}, "request_id": "r-1"})

    async def policy(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.unauthorized(request)
        if refusal:
            return refusal
        assert seen.query["action"] == "getPolicy" and seen.query["model"]
        granted = {
            "policy": "eyJwb2xpY3kiOjF9", "signature": "c2lnbmF0dXJl", "upload_dir": "dashscope-instant/abc",
            "upload_host": self.upload_host or self.url, "expire_in_seconds": 300, "max_file_size_mb": 100,
            "oss_access_key_id": "LTAI-lent", "x_oss_object_acl": "private", "x_oss_forbid_overwrite": "true",
        }  # fmt: skip
        return JSONResponse({"request_id": "r-1", "data": granted})

    async def store(self, request: Request) -> Response:
        """The storage: a form whose policy and signature were granted, and no other credential."""
        await self.record_request(request)
        if self.refuse_upload:
            return Response("<Error><Code>AccessDenied</Code></Error>", self.refuse_upload)
        async with request.form() as form:
            file = form["file"]
            granted = (form["policy"], form["Signature"], form["OSSAccessKeyId"])
            assert granted == ("eyJwb2xpY3kiOjF9", "c2lnbmF0dXJl", "LTAI-lent")
            assert "authorization" not in request.headers
            assert str(form["key"]).startswith("dashscope-instant/abc/") and not isinstance(file, str)
            self.uploads[f"oss://{form['key']}"] = await file.read()
        return Response(status_code=200)

    async def file(self, request: Request) -> Response:
        if request.path_params["name"].endswith(".png"):
            return Response(tiny_png(), media_type="image/png")
        return Response(tiny_mp4(), media_type="video/mp4")

    def wrong(self, fields: dict[str, Any], headers: dict[str, str]) -> str | None:
        given = fields.get("input") or {}
        if not fields.get("model") or not given:
            return "model and input are required"
        media = given.get("media", [])
        if any(item.get("type") not in MEDIA or item.get("url", "").startswith("data:") for item in media):
            return "media must have a known type and an address"
        if "oss://" in json.dumps(given):
            if headers.get("x-dashscope-ossresourceresolve") != "enable":
                return "oss addresses are not resolved"
            if any(item["url"] not in self.uploads for item in media if item["url"].startswith("oss://")):
                return "no such upload"
        if not isinstance(fields.get("parameters", {}).get("duration", 5), int):
            return "duration must be an integer"
        return None

    def unauthorized(self, request: Request) -> Response | None:
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not key or (self.keys is not None and key not in self.keys):
            return said(401, "InvalidApiKey", f"Invalid API-key provided: {key}.")
        return None

    def choices(self) -> list[dict[str, Any]]:
        content = [{"type": "image", "image": f"{self.url}/files/picture.png"}]
        return [{"finish_reason": "stop", "message": {"role": "assistant", "content": content}}]

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        output: dict[str, Any] = {
            "task_id": job.id,
            "task_status": word,
            "submit_time": "2026-11-21 06:30:00.000",
        }
        if word == "FAILED":
            output |= self.failure
        if word != "SUCCEEDED":
            return {"request_id": "r-1", "output": output}
        work = job.fields["work"]
        if work == "image-generation/generation":
            output["choices"], usage = self.choices(), {"image_count": 1, "size": "1024*1024"}
        elif work.endswith("image-synthesis"):
            output["results"], usage = [{"url": f"{self.url}/files/picture.png"}], {"image_count": 1}
        else:
            output["video_url"] = f"{self.url}/files/{job.id}.mp4?Expires=1"
            usage = {
                "duration": 5,
                "output_video_duration": 5,
                "SR": 720,
                "video_count": 1,
                "video_ratio": "16:9",
            }
        return {"request_id": "r-1", "output": output, "usage": usage}


def said(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message, "request_id": "r-1"}, status)
