"""Builds Gemini Omni's requests to the Interactions API: input blocks, media tags and the video's format."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.errors import UpstreamRejected
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.providers.base import Capabilities, Operation
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

RATIOS = ("16:9", "9:16")
TIERS = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}
ROLES: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "source_video", "reference_video"}
)
ACTIONS: frozenset[Action] = frozenset({"generate", "remix", "edit", "extend"})
# Tags in the prompt, not fields, say what each picture is for: https://ai.google.dev/gemini-api/docs/omni
TAGS: Mapping[Role, str] = {
    "first_frame": "<FIRST_FRAME>",
    "last_frame": "<LAST_FRAME>",
    "reference_image": "<IMAGE_REF_{}>",
    "reference_video": "<VIDEO_REF_{}>",
}
RESERVED = frozenset(
    {"model", "input", "prompt", "agent", "background", "store", "stream", "previous_interaction_id"}
    | {"response_format", "response_modalities", "webhook_config", "service_tier", "continuation_token"}
)


def capabilities_of(model: str) -> Capabilities:
    longest = 15 if "omni-1.2" in model else 10
    return Capabilities(
        kinds=frozenset({"video"}),
        roles=ROLES,
        seconds=(3, longest),
        max_pixels=3840 * 2160,
        remix=True,
        cancel=True,
    )


def request_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    """The body of ``POST /interactions``. Raises ``UpstreamRejected`` for what it has no field for."""
    check_request(request, ROLES, actions=ACTIONS)
    refuse_fields(request, "characters")
    changes = request.action != "generate"
    sources = at_most(request, "source_video", 1)
    if changes and earlier is None and not sources:
        raise UpstreamRejected("there is no video to change", param="video")
    seconds = whole_seconds(request)
    video_format = {
        "type": "video",
        "delivery": "uri",  # videos above a few megabytes don't come inline
        "aspect_ratio": nearest_ratio(request, RATIOS),
        "resolution": nearest_tier(request, TIERS),
        "duration": None if seconds is None else f"{seconds}s",
    }
    body = extra_fields(request, RESERVED) | {
        "model": request.model,
        "input": _input_blocks(request, with_source=not (changes and earlier)),
        "background": True,
        "store": True,
        "response_format": without_none(video_format),
        "generation_config": _config_fields(request),
    }
    return body | ({"previous_interaction_id": earlier.id} if changes and earlier else {})


def _config_fields(request: GenerationRequest) -> dict[str, Any]:
    extra = request.extra.get("generation_config")
    config: dict[str, Any] = dict(extra) if isinstance(extra, dict) else {}
    if request.seed is not None:
        config["seed"] = request.seed
    if task := _task_word(request):
        config["video_config"] = {"task": task}
    return config


def _task_word(request: GenerationRequest) -> str | None:
    if request.action == "extend":
        return "extend"
    if request.action != "generate" or request.media_with("source_video"):
        return "edit"
    if request.media_with("reference_image", "reference_video"):
        return "reference_to_video"
    return "image_to_video" if request.media else None


def _input_blocks(request: GenerationRequest, *, with_source: bool) -> list[dict[str, Any]]:
    items = [item for item in request.media if with_source or item.role != "source_video"]
    at_most(request, "first_frame", 1)
    at_most(request, "last_frame", 1)
    prompt = _tagged_prompt(request.prompt, items)
    if request.negative_prompt:
        prompt += f"\nDo not show: {request.negative_prompt}"
    blocks = [*(_content_block(item) for item in items), {"type": "text", "text": prompt}]
    return [{"type": "user_input", "content": blocks}]


def _tagged_prompt(prompt: str, items: list[MediaInput]) -> str:
    """``prompt`` with a line of tags before it, unless no input needs one or the client wrote tags itself."""
    plain = {item.role for item in items} <= {"first_frame", "source_video"}
    if plain or any(tag.split("{")[0] in prompt for tag in TAGS.values()):
        return prompt
    lines: dict[str, list[str]] = {"Sources": [], "References": []}
    seen: Counter[str] = Counter()
    for item in items:
        kind, tag = _block_type(item), TAGS.get(item.role)
        seen[kind] += 1
        if tag:
            line = lines["References" if "{" in tag else "Sources"]
            line.append(f"{tag.format(seen[item.role])}@{kind.capitalize()}{seen[kind]}")
            seen[item.role] += 1
    marks = [f"[# {name} {' '.join(tags)}]" for name, tags in lines.items() if tags]
    return "\n".join([*marks, prompt])


def _block_type(item: MediaInput) -> str:
    return "video" if item.role in {"source_video", "reference_video"} else "image"


def _content_block(item: MediaInput) -> dict[str, str]:
    name = "data" if item.content is not None else "uri"
    return {"type": _block_type(item), name: as_base64(item), "mime_type": item.content_type}
