"""PixVerse's video API (``/openapi/v2``): images are uploaded first, errors are HTTP 200 with a code."""

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from app.errors import OutcomeUnknown, PollFailed, UpstreamBusy, UpstreamFailed, UpstreamRejected
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.base import (
    Account,
    AccountBalance,
    Capabilities,
    Operation,
    PollAnswer,
    PollInterval,
    Provider,
    Submission,
    base_url_or,
)
from app.providers.http_errors import poll_error, submit_error
from app.providers.http_messages import FormFile
from app.providers.inputs import (
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    public_url,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.pixverse.answers import AnswerEnvelope, CreditsAnswer, VideoAnswer, read_outcome

HOST = "https://app-api.pixverse.ai"
PATHS = {0: "text", 1: "img", 2: "transition"}
QUALITIES = {"360p": 360, "540p": 540, "720p": 720, "1080p": 1080}
OLD_RATIOS = ("16:9", "4:3", "1:1", "3:4", "9:16")
RATIOS = (*OLD_RATIOS, "2:3", "3:2", "21:9")
ROLES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
RESERVED = {
    "model", "prompt", "duration", "quality", "img_id", "img_ids", "first_frame_img", "last_frame_img",
    "template_id", "webhook_id",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the price or the inputs."""
# PixVerse has no defaults for these fields.
DEFAULTS = {"duration": 5, "quality": "720p"}


class PixVerseProvider(Provider):
    name = "pixverse"
    title = "PixVerse"
    docs_url = "https://docs.platform.pixverse.ai"
    sample_models = ("v6",)
    auth_scheme = "API-KEY"
    poll_interval = PollInterval(first=4.0, factor=1.2, cap=15.0)

    @classmethod
    def base_url_for(cls, account: Account) -> str:
        return base_url_or(account, HOST).removesuffix("/openapi/v2")

    @classmethod
    def auth_headers(cls, account: Account) -> Mapping[str, str]:
        return {"API-KEY": account.secret} if account.secret else {}

    def capabilities(self, model: str) -> Capabilities:
        return Capabilities(kinds=frozenset({"video"}), roles=ROLES, seconds=_seconds_range(model))

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        body, frames = _request_body(request), _frame_inputs(request)
        uploaded = [await self._upload_image(item) for item in frames]
        names = ("img_id",) if len(uploaded) == 1 else ("first_frame_img", "last_frame_img")
        body |= dict(zip(names, uploaded, strict=False))
        answer = await self.http.post_json(
            f"/openapi/v2/video/{PATHS[len(frames)]}/generate",
            body,
            answer=VideoAnswer,
            headers=_trace_header(),
            even_if=VideoAnswer.is_error,
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise submit_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None or not reply.Resp.video_id:
            raise OutcomeUnknown("PixVerse accepted the request without a video id")
        return Operation(id=reply.Resp.video_id)

    async def poll(self, operation: Operation) -> PollAnswer:
        path = f"/openapi/v2/video/result/{quote(operation.id, safe='')}"
        answer = await self.http.get(
            path, answer=VideoAnswer, headers=_trace_header(), even_if=VideoAnswer.is_error
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise poll_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None:
            raise PollFailed("PixVerse answered without a video")
        return read_outcome(reply.Resp)

    async def balance(self) -> AccountBalance | None:
        path, headers = "/openapi/v2/account/balance", _trace_header()
        answer = await self.http.get(
            path, answer=CreditsAnswer, headers=headers, even_if=CreditsAnswer.is_error
        )
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning
            raise poll_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None:
            raise PollFailed("PixVerse answered without credits")
        return AccountBalance(reply.Resp.credit_monthly + reply.Resp.credit_package, "credits")

    async def _upload_image(self, item: MediaInput) -> int:
        """Upload one image; returns its ``img_id``. An upload starts no video, so every failure may be retried."""
        path, headers = "/openapi/v2/image/upload", _trace_header()
        fields, files = ({}, [_form_file(item)]) if item.content else ({"image_url": public_url(item)}, [])
        try:
            answer = await self.http.post_form(
                path, fields, files=files, answer=VideoAnswer, headers=headers, even_if=VideoAnswer.is_error
            )
        except (OutcomeUnknown, UpstreamFailed) as error:
            raise UpstreamBusy(f"the {item.role} could not be uploaded: {error.message}") from error
        reply = answer.body
        if reply.is_error():
            meaning = reply.error_meaning or "busy"
            raise submit_error(meaning, self._error_text(reply), status=answer.status, headers=answer.headers)
        if reply.Resp is None or reply.Resp.img_id is None:
            raise UpstreamBusy(f"the {item.role} was uploaded, but PixVerse returned no img_id")
        return reply.Resp.img_id

    def _error_text(self, reply: AnswerEnvelope) -> str:
        return self.http.clean_text(f"{reply.ErrMsg} ({reply.ErrCode})")


def _trace_header() -> dict[str, str]:
    """A new id for every request: PixVerse returns the earlier video for an id that it has seen."""
    return {"Ai-trace-id": str(uuid.uuid4())}


def _seconds_range(model: str) -> tuple[float, float]:
    if model.lower().startswith(("v3", "v4", "v5")) and not model.lower().startswith(("v5.5", "v5.6")):
        return 5, 8
    return (5, 10) if model.lower().startswith("v5") else (1, 15)


def _request_body(request: GenerationRequest) -> dict[str, Any]:
    check_request(request, ROLES)
    refuse_fields(request, "shots", "characters")
    ratios = OLD_RATIOS if request.model.lower().startswith(("v3", "v4", "v5")) else RATIOS
    ratio = nearest_ratio(request, ratios)
    fields = {
        "model": request.model,
        "prompt": request.prompt,
        "negative_prompt": request.negative_prompt,
        "duration": whole_seconds(request),
        "quality": nearest_tier(request, QUALITIES),
        # The first frame determines the shape; only an explicit aspect_ratio is sent along, and PixVerse decides.
        "aspect_ratio": request.aspect_ratio if request.media else ratio or "16:9",
        "seed": request.seed,
        "style": request.style,
        "water_mark": request.watermark,
    }
    extra = extra_fields(request, RESERVED, sound="generate_audio_switch")
    return extra | DEFAULTS | without_none(fields)


def _frame_inputs(request: GenerationRequest) -> tuple[MediaInput, ...]:
    first, last = at_most(request, "first_frame", 1), at_most(request, "last_frame", 1)
    if last and not first:
        raise UpstreamRejected("a last frame needs a first frame", param="last_frame")
    return (*first, *last)


def _form_file(item: MediaInput) -> FormFile:
    ending = item.content_type.rsplit("/", 1)[-1]
    return FormFile("image", item.content or b"", item.content_type, f"{item.role}.{ending}")
