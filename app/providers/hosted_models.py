"""Models that a marketplace hosts: each family has field names of its own, in one row of a table."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import InvalidRequest, UpstreamRejected
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Account
from app.providers.inputs import (
    as_data_uri,
    check_request,
    extra_fields,
    nearest_ratio,
    nearest_tier,
    parse_size,
    refuse_fields,
    refuse_unsupported,
    whole_seconds,
    without_none,
)

VIDEO: frozenset[MediaKind] = frozenset({"video"})
IMAGE: frozenset[MediaKind] = frozenset({"image"})
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
RESERVED = {
    "model", "version", "prompt", "seconds", "duration", "num_frames", "resolution", "mode", "size",
    "image_size", "width", "height", "n", "num_images", "num_outputs", "num_videos", "multi_prompt",
    "webhook", "webhook_url", "api_key", "key",
}  # fmt: skip
"""What ``extra`` can't set, beside the family's own input fields: these choose the model, the account or the price."""

Length = Literal["number", "text", "suffixed"]
"""5, ``"5"`` or ``"5s"``."""


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """The field names of one family of models, whose names begin with ``start``."""

    start: tuple[str, ...] = ()
    kinds: frozenset[MediaKind] = VIDEO
    fields: Mapping[Role, str] = field(default_factory=dict)
    """The field of a role with one input."""
    lists: Mapping[Role, str] = field(default_factory=dict)
    """The field of a role with several inputs."""
    most: int = 9
    """The most inputs of one list."""
    seconds: tuple[float, float] | None = None
    length: Length = "number"
    ratios: Sequence[str] = RATIOS
    tiers: Mapping[str, int] = field(default_factory=lambda: TIERS)
    tier_field: str = "resolution"
    tier_words: Mapping[str, str] = field(default_factory=dict)
    size_field: str = ""
    """A field for exact pixels, ``{"width", "height"}``."""
    lacks: tuple[str, ...] = ()
    """Which of ``seed`` and ``negative_prompt`` it has no field for."""
    sound: str = ""
    """The field for whether a video has sound."""
    shots: Literal["", "list", "text"] = ""
    mixes: bool = True
    """Whether frames and references may be in one request."""

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(self.fields) | frozenset(self.lists)


class ModelDescription(BaseModel):
    """``account.options["models"][name]``: the fields of a model that no table has."""

    model_config = ConfigDict(extra="forbid")

    fields: dict[Role, str] | None = None
    lists: dict[Role, str] | None = None
    seconds: tuple[float, float] | None = None
    length: Length | None = None
    ratios: list[str] | None = None
    tiers: dict[str, int] | None = None


def read_descriptions(account: Account) -> dict[str, ModelDescription]:
    """``account.options["models"]``. Raises ``InvalidRequest`` when they can't be read."""
    options = account.options.get("models", {})
    try:
        return {name: ModelDescription.model_validate(one) for name, one in dict(options).items()}
    except (ValidationError, TypeError, ValueError) as error:
        raise InvalidRequest("options.models can't be read", param="options.models") from error


Known = TypeVar("Known", bound=ModelFamily)


def apply_description(family: Known, description: ModelDescription | None) -> Known:
    return replace(family, **description.model_dump(exclude_none=True)) if description else family


def model_input(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    """The model's input. Raises ``UpstreamRejected`` for what it has no field for."""
    check_request(request, family.roles, kinds=family.kinds)
    refuse_unsupported(request, *family.lacks, *(("seconds", "shots") if request.kind == "image" else ()))
    fields: dict[str, Any] = {
        "prompt": request.prompt or None,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        "duration": _seconds_field(whole_seconds(request), family),
    }
    fields |= _size_fields(request, family) | _shot_fields(request, family) | _media_fields(request, family)
    reserved = RESERVED | set(family.fields.values()) | set(family.lists.values()) | {family.tier_field}
    extra = extra_fields(request, reserved, sound=family.sound)
    return extra | without_none(fields)


def _seconds_field(seconds: int | None, family: ModelFamily) -> int | str | None:
    if seconds is None or family.length == "number":
        return seconds
    return f"{seconds}s" if family.length == "suffixed" else str(seconds)


def _size_fields(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    if family.size_field and request.size and not request.aspect_ratio:
        width, height = parse_size(request.size)
        return {family.size_field: {"width": width, "height": height}}
    if not family.ratios:
        refuse_fields(request, "aspect_ratio")
    # A model without tiers makes every size in one quality, so only the ratio of a size can be sent.
    if not family.tiers:
        refuse_fields(request, "resolution")
    tier = nearest_tier(request, family.tiers) if family.tiers else None
    return {
        "aspect_ratio": nearest_ratio(request, family.ratios) if family.ratios else None,
        family.tier_field: family.tier_words.get(tier, tier) if tier else None,
    }


def _shot_fields(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    if not request.shots:
        return {}
    if not family.shots:
        raise UpstreamRejected(f"{request.model} takes no storyboard", param="shots")
    if any(shot.seconds != int(shot.seconds) for shot in request.shots):
        raise UpstreamRejected("a shot must last whole seconds", param="shots")
    whole = _seconds_field(sum(int(shot.seconds) for shot in request.shots), family)
    if family.shots == "text":
        parts = [{"prompt": shot.prompt, "duration": int(shot.seconds)} for shot in request.shots]
        return {"multi_prompt": json.dumps(parts, ensure_ascii=False), "duration": whole}
    listed = [{"prompt": shot.prompt, "duration": str(int(shot.seconds))} for shot in request.shots]
    return {"multi_prompt": listed, "prompt": None, "duration": whole}


def _media_fields(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    frames, references = (
        request.media_with("first_frame", "last_frame"),
        request.media_with("reference_image"),
    )
    if not family.mixes and frames and references:
        raise UpstreamRejected("frames and reference images can't go together", param="reference_image")
    fields: dict[str, Any] = {}
    for item in request.media:
        _add_input(fields, item, family)
    return fields


def _add_input(fields: dict[str, Any], item: MediaInput, family: ModelFamily) -> None:
    single = family.fields.get(item.role)
    if single and single not in fields:
        fields[single] = as_data_uri(item)
        return
    several = family.lists.get(item.role)
    listed = fields.setdefault(several, []) if several else []
    if several is None or len(listed) >= family.most:
        raise UpstreamRejected(f"too many inputs as {item.role}", param=item.role)
    listed.append(as_data_uri(item))
