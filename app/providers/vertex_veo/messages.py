"""Veo's words on Vertex AI: what goes into ``:predictLongRunning`` and what its operations say."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities, Failed, PollAnswer, ResultFile, Running, Succeeded
from app.providers.google_errors import CANCELLED, GoogleAnswer
from app.providers.inputs import as_base64, at_most, check, passed_on, refuse, whole_seconds
from app.providers.openai_compatible.answers import Items, Text
from app.providers.sizes import ratio_of, tier_of

RATIOS = ("16:9", "9:16")
TIERS = {"720p": 720, "1080p": 1080, "4k": 2160}
ACTIONS: frozenset[Action] = frozenset({"generate", "extend"})
RESERVED = frozenset(
    {"sampleCount", "durationSeconds", "resolution", "aspectRatio", "seed", "negativePrompt"}
    | {"storageUri", "pubsubTopic", "model", "prompt", "instances", "parameters"}
)
MOST_REFERENCES = 3
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame", "source_video"})


class Video(BaseModel):
    gcsUri: str = ""  # noqa: N815 - the vendor's own name
    bytesBase64Encoded: str = ""  # noqa: N815
    mimeType: str = "video/mp4"  # noqa: N815


class Made(BaseModel):
    videos: list[Video] = []
    raiMediaFilteredCount: int = 0  # noqa: N815
    raiMediaFilteredReasons: Items = []  # noqa: N815


class VeoOperation(GoogleAnswer):
    name: Text = ""
    done: bool = False
    response: Made | None = None


def capabilities_of(model: str) -> Capabilities:
    lite = "-lite-" in model
    return Capabilities(
        kinds=frozenset({"video"}),
        roles=FRAMES if lite else FRAMES | {"reference_image"},
        seconds=(4, 8),
        max_pixels=1920 * 1080 if lite else 3840 * 2160,
    )


def body_of(request: GenerationRequest, *, storage_uri: str | None) -> dict[str, Any]:
    """Raises ``UpstreamRejected`` for what can't be told to Veo."""
    check(request, capabilities_of(request.model).roles, actions=ACTIONS)
    if request.action == "extend" and not request.media_with("source_video"):
        raise UpstreamRejected("Veo extends a video only when it is sent along", param="video")
    refuse(request, "characters")
    told = {
        "sampleCount": 1,
        "durationSeconds": whole_seconds(request),
        "aspectRatio": ratio_of(request, RATIOS),
        "resolution": tier_of(request, TIERS),
        "negativePrompt": request.negative_prompt or None,
        "seed": request.seed,
        "storageUri": storage_uri,
    }
    parameters = passed_on(request, RESERVED, sound="generateAudio") | {
        k: v for k, v in told.items() if v is not None
    }
    return {"instances": [_instance(request)], "parameters": parameters}


def facts_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """What Veo bills by and its answers don't repeat."""
    names = {"durationSeconds": "seconds", "resolution": "resolution", "generateAudio": "audio"}
    return {word: body["parameters"][name] for name, word in names.items() if name in body["parameters"]}


def poll_answer(operation: VeoOperation, facts: Mapping[str, Any], *, said: str) -> PollAnswer:
    """``operation`` in our words; ``said`` is its cleaned error."""
    if operation.error is not None:
        if operation.error.meaning == "moderated":
            return Failed("content_policy_violation", said)
        return Failed("cancelled" if operation.error.code == CANCELLED else "upstream_error", said)
    if not operation.done:
        return Running()
    made = operation.response or Made()
    if made.raiMediaFilteredCount and not made.videos:
        reasons = "; ".join(str(reason) for reason in made.raiMediaFilteredReasons)
        return Failed("content_policy_violation", reasons or "Google's safety filters held the video back.")
    files = tuple(_file(video, index) for index, video in enumerate(made.videos))
    return Succeeded(files, usage={**facts, "videos": len(files)})


def _instance(request: GenerationRequest) -> dict[str, Any]:
    instance: dict[str, Any] = {"prompt": request.prompt} if request.prompt else {}
    singles: tuple[tuple[Role, str], ...] = (
        ("first_frame", "image"), ("last_frame", "lastFrame"), ("source_video", "video"),
    )  # fmt: skip
    for role, name in singles:
        for item in at_most(request, role, 1):
            instance[name] = _media(item)
    references = at_most(request, "reference_image", MOST_REFERENCES)
    if references:
        images = [{"image": _media(item), "referenceType": "ASSET"} for item in references]
        instance["referenceImages"] = images
    return instance


def _media(item: MediaInput) -> dict[str, str]:
    if item.content is not None:
        return {"bytesBase64Encoded": as_base64(item), "mimeType": item.content_type}
    if item.url and item.url.startswith("gs://"):
        return {"gcsUri": item.url, "mimeType": item.content_type}
    raise UpstreamRejected(f"Veo takes a {item.role} only as bytes or from gs://", param=item.role)


def _file(video: Video, index: int) -> ResultFile:
    """Never the bytes themselves: a result is written to the database, and they are tens of megabytes."""
    if video.gcsUri.startswith("gs://"):
        bucket, _, name = video.gcsUri.removeprefix("gs://").partition("/")
        return ResultFile("video", video.mimeType, data={"bucket": bucket, "object": name})
    return ResultFile("video", video.mimeType, data={"index": index})
