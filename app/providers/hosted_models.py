"""Models that a marketplace hosts: each family has field names of its own, in the file of facts or in its published schema."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from app.errors import InvalidRequest, UnsupportedWish
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Account, Capabilities
from app.providers.inputs import (
    as_data_uri,
    check_request,
    extra_fields,
    parse_size,
    public_url,
    refuse_fields,
    refuse_flags,
    told_ratio,
    told_tier,
    whole_seconds,
    without_none,
)
from app.providers.model_facts import ModelFacts

VIDEO: frozenset[MediaKind] = frozenset({"video"})
RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080, "4k": 2160}
RESERVED = {
    "model", "version", "prompt", "negative_prompt", "seed", "seconds", "duration", "num_frames", "resolution",
    "mode", "size", "image_size", "width", "height", "aspect_ratio", "n", "num_images", "num_outputs", "num_videos",
    "multi_prompt", "webhook", "webhook_url", "api_key", "key", "sync_mode", "enable_sync_mode",
    "enable_base64_output",
}  # fmt: skip
"""What ``extra`` can't set, beside the family's own input fields: these choose the model, the account, the price
or how the answer comes."""
LARGE_NUMBER = 99
"""Inputs of a list that names no bound."""

Length = Literal["number", "text", "suffixed"]
"""5, ``"5"`` or ``"5s"``."""


@dataclass(frozen=True, slots=True)
class ModelFamily:
    """The field names of one family of models. An empty name: it has no such field."""

    kinds: frozenset[MediaKind] = VIDEO
    fields: Mapping[Role, str] = field(default_factory=dict)
    """The field of a role with one input."""
    lists: Mapping[Role, str] = field(default_factory=dict)
    """The field of a role with several inputs."""
    inputs: Mapping[Role, int] = field(default_factory=dict)
    """The most inputs of a role, where a bound is known."""
    seconds: tuple[float, float] | None = None
    lengths: tuple[float, ...] = ()
    length: Length = "number"
    duration_field: str = "duration"
    ratios: Sequence[str] = RATIOS
    ratio_field: str = "aspect_ratio"
    tiers: Mapping[str, int] = field(default_factory=lambda: TIERS)
    tier_field: str = "resolution"
    tier_words: Mapping[str, str] = field(default_factory=dict)
    size_field: str = ""
    """A field for exact pixels, ``{"width", "height"}``."""
    lacks: tuple[str, ...] = ()
    """Which of ``seed`` and ``negative_prompt`` it has no field for."""
    sound: str = ""
    """The field for whether a video has sound."""
    watermark: str = ""
    """The field for whether a video has the vendor's mark."""
    by_address: bool = False
    """Inputs may only be public addresses."""
    shots: Literal["", "list", "text"] = ""
    mixes: bool = True
    """Whether frames and references may be in one request."""
    names: frozenset[str] | None = None
    """All its fields, where they are known: a marketplace ignores any other without a word."""
    required: Mapping[str, str] = field(default_factory=dict)
    """The fields that it can't do without, and the client's name of each."""
    unread: bool = False
    """Its vendor has not told yet what it takes, so it is sent a prompt only."""

    @property
    def roles(self) -> frozenset[Role]:
        return frozenset(self.fields) | frozenset(self.lists)

    def most_of(self, role: Role) -> int:
        return self.inputs.get(role, LARGE_NUMBER if role in self.lists else 1)

    def capabilities(self, **more: Any) -> Capabilities:
        """What routing reads; ``more`` is what the adapter knows beside the family."""
        bounds = (min(self.lengths), max(self.lengths)) if self.lengths else self.seconds
        told: dict[str, Any] = {
            "kinds": frozenset(self.kinds),
            "roles": self.roles,
            "most": {role: self.most_of(role) for role in self.roles if role in self.inputs},
            "seconds": bounds,
            "lengths": self.lengths,
            "tiers": dict(self.tiers),
            "ratios": tuple(self.ratios),
            "sound": "choice" if self.sound else None,
            "native_shots": bool(self.shots),
            "cancel": True,
        }
        if self.unread:
            told |= {"tiers": {}, "ratios": (), "roles": EVERY_ROLE}
        return Capabilities(**(told | more))


EVERY_ROLE: frozenset[Role] = frozenset(
    {"first_frame", "last_frame", "reference_image", "source_video", "reference_video", "audio"}
)
"""What a model may take that is not known yet: its adapter refuses them with the reason."""


class ModelDescription(BaseModel):
    """``account.options["models"][name]``: the fields of a model that no table has."""

    model_config = ConfigDict(extra="forbid")

    fields: dict[Role, str] | None = None
    lists: dict[Role, str] | None = None
    seconds: tuple[float, float] | None = None
    lengths: tuple[float, ...] | None = None
    length: Length | None = None
    ratios: list[str] | None = None
    tiers: dict[str, int] | None = None
    lacks: tuple[str, ...] | None = None
    sound: str | None = None


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


def family_of_facts(facts: ModelFacts, form: type[Known], **more: Any) -> Known:
    """A row of the file of facts; its ``traits`` are fields of ``form``."""
    return form(
        kinds=frozenset({facts.kind}),  # type: ignore[arg-type]
        inputs=facts.inputs,
        seconds=facts.seconds,
        lengths=facts.lengths,
        ratios=facts.ratios,
        tiers=facts.tiers,
        **{**facts.traits, **more},
    )


def model_input(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    """The model's input. Raises ``UnsupportedWish`` for what it has no field for."""
    if family.unread:
        _refuse_unread(request)
    check_request(request, family.roles, kinds=family.kinds)
    refuse_fields(request, "style", "characters", *family.lacks)
    refuse_fields(request, *(("seconds", "shots") if request.kind == "image" else ()))
    if not family.watermark:
        refuse_flags(request, "watermark")
    if not family.duration_field:
        refuse_fields(request, "seconds")
    fields: dict[str, Any] = {
        "prompt": request.prompt or None,
        "negative_prompt": request.negative_prompt,
        "seed": request.seed,
        family.duration_field: _seconds_field(whole_seconds(request), family),
    }
    fields |= _size_fields(request, family) | _shot_fields(request, family) | _media_fields(request, family)
    if family.watermark:
        fields[family.watermark] = request.watermark
    own = {*family.fields.values(), *family.lists.values(), family.tier_field, family.ratio_field}
    whole = extra_fields(request, (RESERVED | own) - {""}, sound=family.sound) | without_none(fields)
    _check_names(request, family, whole)
    return whole


def refuse_unpublished(request: GenerationRequest, published: ModelFamily | None) -> None:
    """Raises ``UnsupportedWish`` for a field of the client's own that the published schema lacks: the marketplace would
    ignore it without a word. None: the schema was not read."""
    names = published.names if published else None
    unknown = next((name for name in request.extra if names is not None and name not in names), None)
    if unknown is not None:
        raise UnsupportedWish(f"{request.model} has no field {unknown}", param=unknown)


def _refuse_unread(request: GenerationRequest) -> None:
    names = ("seconds", "size", "aspect_ratio", "resolution", "seed", "negative_prompt", "shots")
    wishes: list[str] = [item.role for item in request.media]
    wishes += [name for name in names if getattr(request, name) not in (None, "", ())]
    wishes += ["generate_audio"] if request.sound is not None else []
    if wishes:
        text = f"it is not known yet what {request.model} takes, and its vendor is asked now: try again in a moment"
        raise UnsupportedWish(text, param=wishes[0])


def _check_names(request: GenerationRequest, family: ModelFamily, whole: Mapping[str, Any]) -> None:
    if family.names is not None:
        unknown = next((name for name in whole if name not in family.names), None)
        if unknown is not None:
            raise UnsupportedWish(f"{request.model} has no field {unknown}", param=unknown)
    missing = next((name for name in family.required if name not in whole), None)
    if missing is not None:
        raise UnsupportedWish(f"{request.model} needs {missing}", param=family.required[missing])


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
    if not family.tiers and not family.ratios:
        refuse_fields(request, "size")
    tier = told_tier(request, family.tiers, usual=TIERS) if family.tiers else None
    return {
        family.ratio_field: told_ratio(request, family.ratios, usual=RATIOS) if family.ratios else None,
        family.tier_field: family.tier_words.get(tier, tier) if tier else None,
    }


def _shot_fields(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    if not request.shots:
        return {}
    if not family.shots:
        raise UnsupportedWish(f"{request.model} takes no storyboard", param="shots")
    if any(shot.seconds != int(shot.seconds) for shot in request.shots):
        raise UnsupportedWish("a shot must last whole seconds", param="shots")
    whole = _seconds_field(sum(int(shot.seconds) for shot in request.shots), family)
    if family.shots == "text":
        parts = [{"prompt": shot.prompt, "duration": int(shot.seconds)} for shot in request.shots]
        return {"multi_prompt": json.dumps(parts, ensure_ascii=False), "duration": whole}
    listed = [{"prompt": shot.prompt, "duration": str(int(shot.seconds))} for shot in request.shots]
    return {"multi_prompt": listed, "prompt": None, "duration": whole}


def _media_fields(request: GenerationRequest, family: ModelFamily) -> dict[str, Any]:
    frames = request.media_with("first_frame", "last_frame")
    references = request.media_with("reference_image", "reference_video", "audio")
    if not family.mixes and frames and references:
        raise UnsupportedWish("frames and references can't go together", param=references[0].role)
    fields: dict[str, Any] = {}
    for item in request.media:
        _add_input(fields, item, family)
    return fields


def _add_input(fields: dict[str, Any], item: MediaInput, family: ModelFamily) -> None:
    single, told = family.fields.get(item.role), public_url(item) if family.by_address else as_data_uri(item)
    if single and single not in fields:
        fields[single] = told
        return
    several = family.lists.get(item.role)
    listed = fields.setdefault(several, []) if several else []
    if several is None or len(listed) >= family.most_of(item.role):
        raise UnsupportedWish(f"too many inputs as {item.role}", param=item.role)
    listed.append(told)
