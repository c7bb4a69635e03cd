"""Gateways with an endpoint per feature (``/v1/videos/generate`` and its siblings), in their asynchronous mode."""

from collections.abc import Collection
from typing import Any

from app.errors import UnsupportedWish, UpstreamFailed, UpstreamModerated
from app.generation import Action, GenerationRequest, Kind, Role
from app.providers.base import EARLIER, Capabilities, Operation, PollAnswer, Submission
from app.providers.gateway import (
    NAMED_SECONDS,
    GatewayRelay,
    SubmittedTask,
    busy_or_failed,
    file_kind,
    is_option_name,
    model_name_for,
    storyboard_prompt,
    without_empty,
)
from app.providers.http_errors import unnamed_task
from app.providers.inputs import (
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    refuse_fields,
    refuse_flags,
)
from app.providers.reading import read_error

KINDS: frozenset[Kind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "subject"})
ACTIONS: Collection[Action] = ("generate", "remix")
RESERVED = {
    "model", "prompt", "stream", "async_mode", "image", "video", "remix_target_id", "seconds", "duration",
    "size", "aspect_ratio", "resolution", "n", "api_key", "key",
}  # fmt: skip
"""What ``extra`` can't set: these choose the model, the account, the price or the inputs."""


class FeatureRelayProvider(GatewayRelay):
    name = "feature_relay"
    title = "Gateway with an endpoint per feature"
    reports_progress = True

    def capabilities(self, model: str) -> Capabilities:
        settings = self.settings
        named = (NAMED_SECONDS[0], NAMED_SECONDS[-1]) if is_option_name(model) else None
        return Capabilities(
            kinds=self.account.kinds or KINDS,
            roles=ROLES,
            seconds=settings.seconds or named,
            lengths=NAMED_SECONDS if named and not settings.seconds else (),
            native_shots=True,
            native_styles=True,
            remix=True,
            cancel=settings.cancel,
            idempotency_key=settings.idempotency,
        )

    def check(self, request: GenerationRequest) -> None:
        _path_and_body(request, EARLIER)

    async def start(self, request: GenerationRequest, submission: Submission) -> Operation:
        path, body = _path_and_body(request, submission.remix_operation)
        headers = {"Idempotency-Key": submission.idempotency_key}
        try:
            answer = await self.http.post_json(path, body, answer=SubmittedTask, headers=headers)
        except UpstreamFailed as error:
            raise busy_or_failed(error) from error
        if answer.body.task_id:
            return Operation(id=answer.body.task_id, data={"kind": file_kind(request.kind)})
        detail = read_error({"error": answer.body.error}) if answer.body.error else None
        if detail is None:
            raise unnamed_task("upstream")
        text = self.http.clean_text(detail.message)
        raise UpstreamModerated(text) if detail.is_moderated else busy_or_failed(UpstreamFailed(text))

    async def poll(self, operation: Operation) -> PollAnswer:
        return await self.poll_task(operation)

    async def cancel(self, operation: Operation) -> bool:
        return await self.cancel_task(operation)


def _path_and_body(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    """The endpoint and its body. Raises ``UnsupportedWish`` for what these endpoints have no field for."""
    check_request(request, ROLES, kinds=KINDS, actions=ACTIONS)
    refuse_fields(request, "seed", "negative_prompt")
    refuse_flags(request, "watermark", "private")
    fields: dict[str, Any] = {"prompt": request.prompt, "style": request.style, "async_mode": True}
    if is_option_name(request.model):
        fields["model"] = model_name_for(request)
    else:
        fields |= {
            "model": request.model,
            "seconds": request.seconds,
            "size": request.size,
            "aspect_ratio": request.aspect_ratio,
            "resolution": request.resolution,
        }
    feature, inputs = _feature_fields(request, earlier)
    scope = "images" if request.kind == "image" else "videos"
    return f"/v1/{scope}/{feature}", extra_fields(request, RESERVED, sound="generate_audio") | without_empty(
        fields | inputs
    )


def _feature_fields(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any]]:
    images = [image for role in ROLES for image in at_most(request, role, 1)]
    if len(images) > 1:
        raise UnsupportedWish(f"{request.model} takes one image", param="input_reference")
    if request.action == "remix":
        if earlier is None:
            raise UnsupportedWish("the video to remix is not known to this upstream", param="remix_of")
        return "remix", {"remix_target_id": earlier.id}
    if request.shots:
        if images:
            raise UnsupportedWish("a storyboard takes no image", param="input_reference")
        return "storyboard", {"prompt": storyboard_prompt(request)}
    if images:
        return "transform", {"image": as_data_uri(images[0])}
    return "generate", {}
