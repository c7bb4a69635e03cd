"""vLLM-Omni 0.30 and SGLang 0.5.23 as their ``/v1/videos`` answer: their own forms, what they refuse, what a restart forgets.

Read in the wheels of both: ``vllm_omni/entrypoints/openai/video/generation/helpers.py`` and
``sglang/multimodal_gen/runtime/entrypoints/openai/video_api.py``.
"""

import re
from typing import Any

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.base import VendorJob
from tests.upstream.vendors.front import ScriptedServer

FORM = "multipart/form-data"


class EngineServer(ScriptedServer):
    """Without keys, unless a proxy in front asks for them. Unlike the engines it refuses a field that it does not know:
    they ignore it, and a film without it is made."""

    done = "completed"
    texts: frozenset[str]
    uploads: frozenset[str]
    model = "fake-video"

    def reset(self) -> None:
        super().reset()
        self.progress = 45
        self.forms: list[dict[str, str]] = []
        self.files: list[list[tuple[str, str]]] = []
        """Per submit: the names and types of its files, in order."""
        self.describes_itself = True

    def restart(self) -> None:
        """The pod starts anew: the jobs were in its memory."""
        self.jobs.clear()

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/videos", self.create, methods=["POST"]),
            Route("/v1/videos/{job}", self.status, methods=["GET"]),
            Route("/v1/videos/{job}", self.delete, methods=["DELETE"]),
            Route("/v1/videos/{job}/content", self.content, methods=["GET"]),
            Route("/v1/models", self.models, methods=["GET"]),
            Route("/openapi.json", self.described, methods=["GET"]),
        ]

    def unauthorized(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        wrong = self.keys is not None and token not in self.keys
        return JSONResponse({"error": "Unauthorized"}, 401) if wrong else None

    async def create(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request) or self.take_refusal()
        if refusal:
            return refusal
        async with request.form() as form:
            wrong = self.wrong_form(request, form)
            if wrong:
                return wrong
            texts = {name: value for name, value in form.multi_items() if isinstance(value, str)}
            files = [(name, value.content_type or "") for name, value in form.multi_items()
                     if isinstance(value, UploadFile)]  # fmt: skip
        unknown = sorted(({*texts} - self.texts) | ({name for name, _ in files} - self.uploads))
        if unknown:
            return invalid(unknown[0], "Extra inputs are not permitted")
        self.forms.append(texts)
        self.files.append(files)
        job = self.create_job({**texts}, job_id=f"video_gen_{self.counts['submit'] + 1:08d}")
        return JSONResponse(self.shown(job, "queued"))

    def wrong_form(self, request: Request, form: FormData) -> Response | None:
        raise NotImplementedError

    async def status(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.unauthorized(request) or self.take_refusal(polls=True)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["job"])
        return self.told(job, job.next_state()) if job else missing()

    def told(self, job: VendorJob, word: str) -> Response:
        return JSONResponse(self.shown(job, word))

    async def delete(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.pop(request.path_params["job"], None)
        return JSONResponse({"id": job.id, "object": "video", "status": "deleted"}) if job else missing()

    async def content(self, request: Request) -> Response:
        await self.record_request(request)
        job = self.jobs.get(request.path_params["job"])
        return Response(tiny_mp4(), media_type="video/mp4") if job else missing()

    async def models(self, request: Request) -> Response:
        return self.unauthorized(request) or JSONResponse({"object": "list", "data": [{"id": self.model}]})

    async def described(self, request: Request) -> Response:
        """As FastAPI describes a form with files."""
        if not self.describes_itself:
            return missing()
        schema = {"properties": {name: {} for name in sorted(self.texts | self.uploads)}, "type": "object"}
        reference = {"$ref": "#/components/schemas/Body_create_video_v1_videos_post"}
        post = {"requestBody": {"content": {FORM: {"schema": reference}}}}
        return JSONResponse({
            "openapi": "3.1.0", "paths": {"/v1/videos": {"post": post}},
            "components": {"schemas": {"Body_create_video_v1_videos_post": schema}},
        })  # fmt: skip

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        error = {"code": 500, "message": self.failure.get("message", "")} if word == "failed" else None
        progress = self.progress if word == "in_progress" else 100 if word == "completed" else 0
        return {
            "id": job.id, "object": "video", "status": word, "model": job.fields.get("model"), "progress": progress,
            "size": job.fields.get("size"), "seconds": job.fields.get("seconds", "4"), "error": error,
        }  # fmt: skip


class VllmOmniServer(EngineServer):
    texts = frozenset({
        "prompt", "control_type", "image_reference", "video_reference", "audio_reference", "model", "seconds", "size",
        "user", "width", "height", "num_frames", "fps", "aspect_ratio", "short_edge", "num_outputs_per_prompt",
        "start_time_seconds", "quality", "num_inference_steps", "guidance_scale", "guidance_scale_2", "boundary_ratio",
        "flow_shift", "true_cfg_scale", "seed", "generate_sound", "sound_duration", "negative_prompt",
        "enable_frame_interpolation", "frame_interpolation_exp", "frame_interpolation_scale",
        "frame_interpolation_model_path", "lora", "extra_params", "return_stage_metrics",
    })  # fmt: skip
    uploads = frozenset({"input_reference", "input_references", "control_reference", "source_video"})

    def wrong_form(self, request: Request, form: FormData) -> Response | None:
        # A JSON body is no form, so each of its fields is missing.
        if not form.get("prompt"):
            return invalid("prompt", "Field required", kind="missing")
        seconds, size = form.get("seconds"), form.get("size")
        if isinstance(seconds, str) and not re.fullmatch(r"[1-9]\d*", seconds):
            return invalid("seconds", r"String should match pattern '^[1-9]\d*$'")
        if isinstance(size, str) and not re.fullmatch(r"\d+x\d+", size):
            return invalid("size", r"String should match pattern '^\d+x\d+$'")
        if form.getlist("input_references") and form.get("input_reference"):
            text = "Provide input_references alone, without input_reference, image_reference, or video_reference."
            return JSONResponse({"detail": text}, 400)
        return None

    def told(self, job: VendorJob, word: str) -> Response:
        return JSONResponse(self.shown(job, word), 500 if word == "failed" else 200)


class SGLangServer(EngineServer):
    texts = frozenset({
        "prompt", "enhance_prompt", "reference_url", "video_url", "video_path", "model", "task_type", "n",
        "num_outputs_per_prompt", "seconds", "size", "fps", "num_frames", "width", "height", "seed", "generator_device",
        "negative_prompt", "guidance_scale", "guidance_scale_2", "true_cfg_scale", "num_inference_steps",
        "max_sequence_length", "flow_shift", "enable_teacache", "enable_frame_interpolation",
        "frame_interpolation_exp", "frame_interpolation_scale", "frame_interpolation_model_path", "enable_upscaling",
        "upscaling_model_path", "upscaling_scale", "output_quality", "output_compression", "x264_preset",
        "output_path", "perf_dump_path", "extra_params", "extra_body",
    })  # fmt: skip
    uploads = frozenset({"input_reference", "video_reference"})

    def wrong_form(self, request: Request, form: FormData) -> Response | None:
        """JSON is read too, but not the picture in it: that is a path on the server's own disk."""
        if FORM not in request.headers.get("content-type", ""):
            return JSONResponse(
                {"detail": "Invalid request body: input_reference should be a valid string"}, 400
            )
        if not form.get("prompt"):
            return JSONResponse({"detail": "prompt is required"}, 400)
        seconds = form.get("seconds")
        if isinstance(seconds, str) and not seconds.isdecimal():
            return invalid("seconds", "Input should be a valid integer", kind="int_parsing")
        return None

    def shown(self, job: VendorJob, word: str) -> dict[str, Any]:
        return super().shown(job, word) | {"file_path": f"/outputs/{job.id}.mp4", "url": None, "urls": None}


def invalid(field: str, text: str, *, kind: str = "value_error") -> Response:
    """FastAPI's own refusal."""
    return JSONResponse({"detail": [{"type": kind, "loc": ["body", field], "msg": text, "input": None}]}, 422)


def missing() -> Response:
    return JSONResponse({"detail": "Video not found"}, 404)
