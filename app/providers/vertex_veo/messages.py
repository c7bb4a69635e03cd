"""Request bodies of ``:predictLongRunning`` and the operations that it returns.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import PollFailed, UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities, Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.google_errors import CANCELLED, GoogleAnswer
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    refuse_fields,
    whole_seconds,
    without_none,
)
from app.providers.reading import Items, Text

RATIOS = ("16:9", "9:16")
TIERS = {"720p": 720, "1080p": 1080, "4k": 2160}
ACTIONS: frozenset[Action] = frozenset({"generate", "extend"})
RESERVED = frozenset(
    {"sampleCount", "durationSeconds", "resolution", "aspectRatio", "seed", "negativePrompt"}
    | {"storageUri", "pubsubTopic", "model", "prompt", "instances", "parameters"}
)
MAX_REFERENCES = 3
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})


class VeoVideo(BaseModel):
    gcsUri: str = ""  # noqa: N815 - a field of Google's
    bytesBase64Encoded: str = ""  # noqa: N815
    mimeType: str = "video/mp4"  # noqa: N815


class VeoResult(BaseModel):
    videos: list[VeoVideo] = []
    raiMediaFilteredCount: int = 0  # noqa: N815
    raiMediaFilteredReasons: Items = []  # noqa: N815


class VeoOperation(GoogleAnswer):
    name: Text = ""
    done: bool = False
    response: VeoResult | None = None


def capabilities_of(model: str) -> Capabilities:
    lite = "-lite-" in model
    return Capabilities(
        kinds=frozenset({"video"}),
        roles=FRAMES if lite else FRAMES | {"reference_image"},
        seconds=(4, 8),
        max_pixels=1920 * 1080 if lite else 3840 * 2160,
    )


def request_body(request: GenerationRequest, *, storage_uri: str | None) -> dict[str, Any]:
    """JSON body. Raises ``UpstreamRejected`` for a value that Veo has no field for."""
    check_request(request, capabilities_of(request.model).roles, actions=ACTIONS)
    if request.action == "extend" and not request.media_with("source_video"):
        raise UpstreamRejected("Veo extends only a video that is sent along", param="video")
    refuse_fields(request, "characters")
    fields = {
        "sampleCount": 1,
        "durationSeconds": whole_seconds(request),
        "aspectRatio": nearest_ratio(request, RATIOS),
        "resolution": nearest_tier(request, TIERS),
        "negativePrompt": request.negative_prompt or None,
        "seed": request.seed,
        "storageUri": storage_uri,
    }
    parameters = extra_fields(request, RESERVED, sound="generateAudio") | without_none(fields)
    return {"instances": [_request_instance(request)], "parameters": parameters}


def usage_facts(body: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters that Veo bills by; its answers don't repeat them."""
    names = {"durationSeconds": "seconds", "resolution": "resolution", "generateAudio": "audio"}
    return {word: body["parameters"][name] for name, word in names.items() if name in body["parameters"]}


def poll_answer(operation: VeoOperation, facts: Mapping[str, Any], *, message: str) -> PollAnswer:
    """Translate an operation; ``message`` is its error text without secrets."""
    if operation.error is not None:
        if operation.error.error_meaning == "moderated":
            return Failed("content_policy_violation", message)
        return Failed("cancelled" if operation.error.code == CANCELLED else "upstream_error", message)
    if not operation.done:
        return Running()
    result = operation.response or VeoResult()
    if result.raiMediaFilteredCount and not result.videos:
        reasons = "; ".join(str(reason) for reason in result.raiMediaFilteredReasons)
        return Failed("content_policy_violation", reasons or "Google's safety filters removed the video.")
    files = tuple(_result_file(video, index) for index, video in enumerate(result.videos))
    return Succeeded(files, usage={**facts, "videos": len(files)})


def decode_base64(encoded: str) -> bytes:
    """Raises ``PollFailed``."""
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise PollFailed("Vertex sent a video that can't be decoded") from error


def _request_instance(request: GenerationRequest) -> dict[str, Any]:
    instance: dict[str, Any] = {"prompt": request.prompt} if request.prompt else {}
    singles: tuple[tuple[Role, str], ...] = (
        ("first_frame", "image"), ("last_frame", "lastFrame"), ("source_video", "video"),
    )  # fmt: skip
    for role, name in singles:
        for item in at_most(request, role, 1):
            instance[name] = _media_field(item)
    references = at_most(request, "reference_image", MAX_REFERENCES)
    if references:
        images = [{"image": _media_field(item), "referenceType": "ASSET"} for item in references]
        instance["referenceImages"] = images
    return instance


def _media_field(item: MediaInput) -> dict[str, str]:
    if item.content is not None:
        return {"bytesBase64Encoded": as_base64(item), "mimeType": item.content_type}
    if item.url and item.url.startswith("gs://"):
        return {"gcsUri": item.url, "mimeType": item.content_type}
    raise UpstreamRejected(f"Veo takes a {item.role} only as bytes or from gs://", param=item.role)


def _result_file(video: VeoVideo, index: int) -> ResultFile:
    """Without the bytes: results are stored in the database, and a video has tens of megabytes."""
    if video.gcsUri.startswith("gs://"):
        bucket, _, name = video.gcsUri.removeprefix("gs://").partition("/")
        return ResultFile("video", video.mimeType, data={"bucket": bucket, "object": name})
    return ResultFile("video", video.mimeType, data={"index": index})
