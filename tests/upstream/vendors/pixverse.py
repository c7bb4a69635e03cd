"""Simulates PixVerse: ``{ErrCode, ErrMsg, Resp}`` in an HTTP 200, numbered states, uploads before videos."""

import json
from typing import Any, ClassVar

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.upstream.media import tiny_mp4
from tests.upstream.vendors.front import ScriptedServer

FRAMES: dict[str, set[str]] = {
    "text": set(), "img": {"img_id"}, "transition": {"first_frame_img", "last_frame_img"}, "fusion": set(),
}  # fmt: skip
FIELDS = {
    "model", "prompt", "negative_prompt", "duration", "quality", "seed", "water_mark", "motion_mode", "style",
    "camera_movement", "template_id", "generate_audio_switch", "generate_multi_clip_switch", "thinking_type",
    "sound_effect_switch", "sound_effect_content", "webhook_id",
}  # fmt: skip
SHAPED = {"text": {"aspect_ratio"}, "fusion": {"aspect_ratio", "image_references"}}
"""Fields of these paths only: https://docs.platform.pixverse.ai"""
OLD = ("v3", "v4", "v5")
AUDIBLE = ("v5.5", "v5.6", "v6", "c1")
QUALITIES = {"360p", "540p", "720p", "1080p"}


class PixVerseServer(ScriptedServer):
    done = 1

    def reset(self) -> None:
        super().reset()
        self.uploads: dict[int, str] = {}
        """For each uploaded image its type and length, or its URL."""
        self.traces: set[str] = set()
        self.refuse_upload: tuple[int, Any] | None = None

    def routes(self) -> list[BaseRoute]:
        base = "/openapi/v2"
        return [
            Route(f"{base}/account/balance", self.credit_balance, methods=["GET"]),
            Route(f"{base}/image/upload", self.upload_image, methods=["POST"]),
            Route(f"{base}/video/result/{{video}}", self.poll_job, methods=["GET"]),
            Route(f"{base}/video/{{kind}}/generate", self.submit_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def upload_image(self, request: Request) -> Response:
        await self.record_request(request)
        if self.refuse_upload:
            status, document = self.refuse_upload
            return JSONResponse(document, status)
        refusal = self.auth_error(request)
        if refusal:
            return refusal
        form = await request.form()
        picture = form.get("image")
        number = 1000 + len(self.uploads)
        if isinstance(picture, UploadFile):
            content = await picture.read()
            self.uploads[number] = f"{picture.content_type};{len(content)}"
        else:
            self.uploads[number] = str(form["image_url"])
        await form.close()
        return answer_envelope(0, "Success", {"img_id": number, "img_url": f"{self.url}/files/{number}.png"})

    async def submit_job(self, request: Request) -> Response:
        seen = await self.record_request(request)
        refusal = self.take_refusal() or self.auth_error(request)
        if refusal:
            return refusal
        fields, kind = json.loads(seen.body), request.path_params["kind"]
        wrong = self.field_error(kind, fields)
        if wrong:
            return answer_envelope(400017, wrong)
        job = self.create_job(fields, job_id=str(300_000 + len(self.jobs)))
        return answer_envelope(0, "Success", {"video_id": int(job.id), "credits": 45})

    def field_error(self, kind: str, fields: dict[str, Any]) -> str | None:
        if kind not in FRAMES or {"model", "prompt", "duration", "quality"} - set(fields):
            return "Invalid parameter"
        unknown = sorted(set(fields) - FIELDS - FRAMES[kind] - SHAPED.get(kind, set()))
        if unknown or SHAPED.get(kind, set()) - set(fields):
            return f"Invalid parameter: {unknown or kind}"
        if not isinstance(fields["duration"], int) or wrong_choice(fields):
            return f"Invalid parameter: {wrong_choice(fields) or 'duration'}"
        pictures = [fields.get(name) for name in FRAMES[kind]]
        pictures += [one["img_id"] for one in fields.get("image_references", [])]
        if not all(self.is_picture(one) for one in pictures):
            return "Invalid image ID"
        names = [f"@{one['ref_name']} " in fields["prompt"] for one in fields.get("image_references", [])]
        return None if all(names) else "ref_name is not in the prompt"

    def is_picture(self, name: Any) -> bool:
        return name in self.uploads

    async def poll_job(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        job = self.jobs.get(request.path_params["video"])
        if job is None:
            return answer_envelope(500008, "Requested data not found")
        status: Any = job.next_state()
        done = status == 1
        return answer_envelope(
            0,
            "Success",
            {
                "id": int(job.id),
                "prompt": job.fields["prompt"],
                "status": status if isinstance(status, int) else 99,
                "url": f"{self.url}/files/{job.id}.mp4" if done else "",
                "outputWidth": 1280 if done else 0,
                "outputHeight": 720 if done else 0,
                "credits": 45,
                "size": 1 if done else 0,
            },
        )

    async def credit_balance(self, request: Request) -> Response:
        await self.record_request(request)
        refusal = self.take_refusal(polls=True) or self.auth_error(request)
        if refusal:
            return refusal
        return answer_envelope(0, "Success", {"account_id": 7, "credit_monthly": 1200, "credit_package": 34})

    def key_of(self, request: Request) -> str | None:
        return request.headers.get("api-key")

    async def send_file(self, request: Request) -> Response:
        return Response(tiny_mp4(), media_type="video/mp4")

    def auth_error(self, request: Request) -> Response | None:
        key, trace = self.key_of(request), request.headers.get("ai-trace-id", "")
        if not key or (self.keys is not None and key not in self.keys):
            return answer_envelope(400012, f"Invalid account {key}")
        if not trace or trace in self.traces:
            return answer_envelope(400013, "Invalid binding request: Ai-trace-id")
        self.traces.add(trace)
        return None


class TokenHubServer(PixVerseServer):
    """Tencent's cloud: PixVerse's own answers at other paths, for a Bearer key and pictures in the request itself.
    https://cloud.tencent.com/document/product/1823/135325"""

    kinds: ClassVar = {
        "text-to-video": "text", "image-to-video": "img", "start-end-to-video": "transition",
        "reference-to-video": "fusion",
    }  # fmt: skip

    def routes(self) -> list[BaseRoute]:
        return [
            Route("/v1/wand/pixverse/tasks/{video}", self.poll_job, methods=["GET"]),
            Route("/v1/wand/pixverse/{kind}", self.submit_job, methods=["POST"]),
            Route("/files/{name}", self.send_file, methods=["GET"]),
        ]

    async def submit_job(self, request: Request) -> Response:
        request.scope["path_params"]["kind"] = self.kinds.get(request.path_params["kind"], "")
        return await super().submit_job(request)

    def is_picture(self, name: Any) -> bool:
        return isinstance(name, str) and name.startswith(("data:image/", "https://"))

    def key_of(self, request: Request) -> str | None:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        return key if scheme == "Bearer" else None


def wrong_choice(fields: dict[str, Any]) -> str | None:
    """What a known model does not make."""
    model, seconds = fields["model"].removeprefix("pixverse-video-"), fields["duration"]
    if not model.startswith((*OLD, *AUDIBLE)):
        return None
    if fields["quality"] not in QUALITIES:
        return "quality"
    if "generate_audio_switch" in fields and not model.startswith(AUDIBLE):
        return "generate_audio_switch"
    if not model.startswith(OLD):
        return None if 1 <= seconds <= 15 else "duration"
    newer = model.startswith(AUDIBLE)
    lengths = (5, 8, 10) if newer else (5, 8)
    too_long = fields["quality"] == "1080p" and seconds > (8 if newer else 5)
    return "duration" if seconds not in lengths or too_long else None


def answer_envelope(code: int, message: str, resp: Any = None) -> Response:
    return JSONResponse({"ErrCode": code, "ErrMsg": message, "Resp": resp})
