"""Builds Gemini Omni's requests to the Interactions API: input blocks, media tags and the video's format."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import Action, GenerationRequest, MediaInput, Role
from app.json_bodies import fold_name
from app.providers.base import Capabilities, Operation
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

USUAL_RATIOS = ("16:9", "9:16")
USUAL_TIERS: Mapping[str, int] = {"360p": 360, "720p": 720, "1080p": 1080, "4k": 2160}
SINGLES: tuple[Role, ...] = ("first_frame", "last_frame", "source_video")
MANY: Mapping[Role, int] = {"reference_image": 99, "reference_video": 99}
NEW_MODEL = ModelFacts(starts=("",), inputs={**dict.fromkeys(SINGLES, 1), **MANY})
"""A model that came after the file of facts: every input that the API has, without bounds."""
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
    | {"generation_config", "generationConfig"}
)
CONFIG = "generation_config"
CONFIG_NAMES = frozenset(
    fold_name(name) for name in ("video_config", "videoConfig", "candidate_count", "candidateCount", "seed")
)
"""Names in it that ``extra`` can't set: they choose what is made, and how often."""
MOST_PIXELS = 3840 * 2160


def facts_of(model: str) -> ModelFacts:
    return read_facts("gemini").find_model(model) or NEW_MODEL


def capabilities_of(model: str) -> Capabilities:
    facts = facts_of(model)
    pixels = {"max_pixels": MOST_PIXELS} if facts.tiers else {}
    return facts.capabilities(remix=True, cancel=True, **pixels)


def request_body(request: GenerationRequest, earlier: Operation | None) -> dict[str, Any]:
    """The body of ``POST /interactions``. Raises ``UnsupportedWish`` for what it has no field for."""
    model = facts_of(request.model)
    check_request(request, model.inputs, actions=ACTIONS)
    refuse_unsupported(request, "shots")
    for role, most in model.inputs.items():
        at_most(request, role, most)
    changes = request.action != "generate"
    if changes and earlier is None and not request.media_with("source_video"):
        raise UnsupportedWish("there is no video to change", param="video")
    seconds = whole_seconds(request)
    video_format = {
        "type": "video",
        "delivery": "uri",  # videos above a few megabytes don't come inline
        "aspect_ratio": told_ratio(request, model.ratios, usual=USUAL_RATIOS),
        "resolution": told_tier(request, model.tiers, usual=USUAL_TIERS),
        "duration": None if seconds is None else f"{seconds}s",
    }
    config = request.extra.get(CONFIG)
    others = {name: value for name, value in request.extra.items() if name != CONFIG}
    body = extra_fields(request.model_copy(update={"extra": others}), RESERVED) | {
        "model": request.model,
        "input": _input_blocks(request, with_source=not (changes and earlier)),
        "background": True,
        "store": True,
        "response_format": without_none(video_format),
        "generation_config": _config_fields(request, config),
    }
    return body | ({"previous_interaction_id": earlier.id} if changes and earlier else {})


def _config_fields(request: GenerationRequest, given: Any) -> dict[str, Any]:
    """With the client's own ``generation_config``, which may hold what the adapter does not decide."""
    if given is not None and not isinstance(given, dict):
        raise UnsupportedWish(f"{CONFIG} must be an object", param=CONFIG)
    config: dict[str, Any] = dict(given or {})
    reserved = next((name for name in config if fold_name(name) in CONFIG_NAMES), None)
    if reserved is not None:
        raise UnsupportedWish(
            f"{reserved} can't be passed on to {request.model}", param=f"{CONFIG}.{reserved}"
        )
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
