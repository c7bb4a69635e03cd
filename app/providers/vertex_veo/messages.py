"""Request bodies of ``:predictLongRunning`` and the operations that it returns.

https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/veo-video-generation
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import PollFailed, UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.base import Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.google_errors import CANCELLED, GoogleAnswer
from app.providers.inputs import (
    as_base64,
    at_most,
    check_request,
    extra_fields,
    refuse_unsupported,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts, read_facts
from app.providers.reading import Items, Text

USUAL_RATIOS = ("16:9", "9:16")
USUAL_TIERS: Mapping[str, int] = {"720p": 720, "1080p": 1080, "4k": 2160}
ACTIONS: frozenset[Action] = frozenset({"generate", "extend"})
RESERVED = frozenset(
    {"sampleCount", "durationSeconds", "resolution", "aspectRatio", "seed", "negativePrompt"}
    | {"storageUri", "pubsubTopic", "model", "prompt", "instances", "parameters"}
    | {"lastFrame", "referenceImages", "image", "video", "webhookConfig"}
)
REFERENCE_SECONDS = 8
"""The only length that Veo makes from references."""
SINGLES: Mapping[Role, str] = {"first_frame": "image", "last_frame": "lastFrame", "source_video": "video"}
NEW_MODEL = ModelFacts(starts=("",), inputs={**dict.fromkeys(SINGLES, 1), "reference_image": 99})
"""A model that came after the file of facts: every field that the API has, without bounds."""


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


def facts_of(model: str) -> ModelFacts:
    return read_facts("vertex_veo").find_model(model) or NEW_MODEL


def request_body(request: GenerationRequest, *, storage_uri: str | None) -> dict[str, Any]:
    """JSON body. Raises ``UnsupportedWish`` for a value that Veo has no field for."""
    model = facts_of(request.model)
    check_request(request, model.inputs, actions=ACTIONS)
    if request.action == "extend" and not request.media_with("source_video"):
        raise UnsupportedWish("Veo extends only a video that is sent along", param="video")
    refuse_unsupported(request, "shots")
    seconds = whole_seconds(request)
    if request.media_with("reference_image") and seconds not in (None, REFERENCE_SECONDS):
        text = f"{request.model} makes {REFERENCE_SECONDS} seconds from references, not {seconds}"
        raise UnsupportedWish(text, param="seconds")
    fields = {
        "sampleCount": 1,
        "durationSeconds": seconds,
        "aspectRatio": told_ratio(request, model.ratios, usual=USUAL_RATIOS),
        "resolution": told_tier(request, model.tiers, usual=USUAL_TIERS),
        "negativePrompt": request.negative_prompt or None,
        "seed": request.seed,
        "storageUri": storage_uri,
    }
    parameters = extra_fields(request, RESERVED, sound="generateAudio") | without_none(fields)
    return {"instances": [_request_instance(request, model)], "parameters": parameters}


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


def _request_instance(request: GenerationRequest, model: ModelFacts) -> dict[str, Any]:
    instance: dict[str, Any] = {"prompt": request.prompt} if request.prompt else {}
    for role, most in model.inputs.items():
        items = at_most(request, role, most)
        if items and role in SINGLES:
            instance[SINGLES[role]] = _media_field(items[0])
    references = request.media_with("reference_image")
    if references:
        images = [{"image": _media_field(item), "referenceType": "ASSET"} for item in references]
        instance["referenceImages"] = images
    return instance


def _media_field(item: MediaInput) -> dict[str, str]:
    if item.content is not None:
        return {"bytesBase64Encoded": as_base64(item), "mimeType": item.content_type}
    if item.url and item.url.startswith("gs://"):
        return {"gcsUri": item.url, "mimeType": item.content_type}
    raise UnsupportedWish(f"Veo takes a {item.role} only as bytes or from gs://", param=item.role)


def _result_file(video: VeoVideo, index: int) -> ResultFile:
    """Without the bytes: results are stored in the database, and a video has tens of megabytes."""
    if video.gcsUri.startswith("gs://"):
        bucket, _, name = video.gcsUri.removeprefix("gs://").partition("/")
        return ResultFile("video", video.mimeType, data={"bucket": bucket, "object": name})
    return ResultFile("video", video.mimeType, data={"index": index})
