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
INPUTS = {
    "prompt", "negative_prompt", "template", "function", "img_url", "audio_url", "reference_video_urls",
    "reference_urls", "reference_url", "reference_video_description", "first_frame_url", "last_frame_url", "media",
    "messages", "images", "extend_prompt",
}  # fmt: skip
PARAMETERS = {
    "size", "duration", "seed", "prompt_extend", "watermark", "resolution", "ratio", "shot_type", "audio_setting",
    "enable_thinking", "audio", "n", "negative_prompt", "enable_sequential", "is_async",
}  # fmt: skip
"""What the vendor's own SDK can send."""
ALL, HIGH = {"480P", "720P", "1080P"}, {"720P", "1080P"}
LIMITS: dict[str, tuple[set[int], set[str]]] = {
    "wan3.0": (set(range(2, 31)), ALL), "wan2.7-videoedit": (set(range(2, 11)), HIGH),
    "wan2.7": (set(range(2, 16)), HIGH), "wan2.6": (set(range(2, 16)), HIGH), "wan2.5": ({5, 10}, ALL),
    "happyhorse-1.0": (set(range(3, 16)), HIGH), "happyhorse-1.1": (set(range(3, 16)), ALL),
    "wanx2.1-i2v": ({3, 4, 5}, ALL), "wan2.2": ({5}, ALL),
}  # fmt: skip
"""Lengths and resolutions, by the beginning of a model's name."""
AUDIBLE = ("wan3", "wan2.5", "wan2.6-i2v-flash", "wan2.6-r2v-flash")
"""Models that can be told to be silent."""


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
        """What it refuses."""
        given, parameters = fields.get("input") or {}, fields.get("parameters", {})
        strange = sorted({*(set(given) - INPUTS), *(set(parameters) - PARAMETERS)})
        if not fields.get("model") or not given or strange:
            return f"{(strange or ['model and input'])[0]} is not valid"
        media = given.get("media", [])
        if any(item.get("type") not in MEDIA or item.get("url", "").startswith("data:") for item in media):
            return "media must have a known type and an address"
        if "oss://" in json.dumps(given):
            if headers.get("x-dashscope-ossresourceresolve") != "enable":
                return "oss addresses are not resolved"
            if any(item["url"] not in self.uploads for item in media if item["url"].startswith("oss://")):
                return "no such upload"
        return wrong_parameter(fields["model"], parameters) or wrong_input(fields["model"], given)

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


def wrong_parameter(model: str, parameters: dict[str, Any]) -> str | None:
    known = next((limits for name, limits in LIMITS.items() if model.startswith(name)), None)
    length, tier = parameters.get("duration"), parameters.get("resolution")
    if length is not None and (not isinstance(length, int) or (known and length not in known[0])):
        return f"duration {length} is not valid"
    if known and "image" not in model and tier is not None and tier not in known[1]:
        return f"resolution {tier} is not valid"
    if "audio" in parameters and not model.startswith(AUDIBLE):
        return "audio is not valid"
    if "shot_type" in parameters and not model.startswith("wan2.6"):
        return "shot_type is not valid"
    if "ratio" in parameters and ("i2v" in model or model.startswith(("wan2.6", "wan2.5", "wan2.2", "wanx"))):
        return "ratio is not valid"
    return None


def wrong_input(model: str, given: dict[str, Any]) -> str | None:
    """What a model can't do without, and what does not go together."""
    kinds = {item["type"] for item in given.get("media", [])}
    needs = {
        "wan2.7-i2v": {"first_frame", "first_clip"}, "wan2.7-r2v": {"reference_image", "reference_video"},
        "wan2.7-videoedit": {"video"}, "happyhorse-1.0-video-edit": {"video"}, "happyhorse-1.0-i2v": {"first_frame"},
        "happyhorse-1.0-r2v": {"reference_image"},
    }  # fmt: skip
    needed = next((wanted for name, wanted in needs.items() if model.startswith(name)), None)
    if needed is not None and not kinds & needed:
        return "media is required"
    framed = kinds & {"first_frame", "last_frame"}
    if model.startswith("wan3") and framed and kinds != framed:
        return "frames and references can't be mixed"
    if model.startswith(("wan2.6-i2v", "wan2.5-i2v", "wan2.2-i2v", "wanx2.1-i2v")) and "img_url" not in given:
        return "img_url is required"
    return None
