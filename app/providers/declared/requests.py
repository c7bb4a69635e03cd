"""Builds the body of a submission from its template. A wish that the template has no place for is refused."""

from collections.abc import Mapping
from typing import Any, get_args

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, MediaInput, Role
from app.providers.declared.declaration import Declaration
from app.providers.declared.templates import fill_template, names_in
from app.providers.fact_checks import pick_size, settle_request
from app.providers.inputs import (
    as_base64,
    as_data_uri,
    at_most,
    check_request,
    extra_fields,
    parse_size,
    public_url,
    refuse_fields,
    refuse_flags,
    told_ratio,
    told_tier,
    whole_seconds,
)
from app.providers.model_facts import ModelFacts

RESERVED = frozenset(
    {
        "model",
        "prompt",
        "n",
        "num",
        "count",
        "batch_size",
        "num_videos",
        "num_images",
        "num_outputs",
        "samples",
    }
    | {
        "seconds",
        "duration",
        "length",
        "frames",
        "size",
        "image_size",
        "width",
        "height",
        "image",
        "images",
        "video",
    }
)
"""Names that ``extra`` never sets: they choose the model, the price or the inputs at most vendors."""
FORMS = {"": as_data_uri, ".url": public_url, ".base64": as_base64}
SIZE_NAMES = frozenset({"size", "width", "height"})
LENGTH_NAMES = frozenset({"seconds", "seconds_text"})
USUAL_RATIOS = ("16:9", "9:16", "1:1", "4:3", "3:4", "21:9")
USUAL_TIERS: Mapping[str, int] = {"480p": 480, "720p": 720, "1080p": 1080, "2160p": 2160}


def roles_said(declaration: Declaration) -> frozenset[Role]:
    """The inputs that the template has a place for."""
    used = {name.partition(".")[0].removesuffix("[]") for name in names_in(declaration.submit.body)}
    return frozenset(role for role in get_args(Role) if role in used)


def submit_body(request: GenerationRequest, declaration: Declaration) -> dict[str, Any]:
    """Raises ``UnsupportedWish`` for a wish that the template can't say."""
    facts, used = declaration.facts_of(request.model), names_in(declaration.submit.body)
    roles = roles_said(declaration)
    request = settle_request(request, facts)
    check_request(request, roles & set(facts.inputs) if facts else roles, kinds={declaration.kind})
    _refuse_unsaid(request, facts, used)
    values = {**_plain_values(request), **_shape_values(request, facts, used), **_input_values(request, used)}
    values |= {name: value for name, value in declaration.submit.defaults.items() if values.get(name) is None}
    reserved = {*RESERVED, *declaration.submit.body, *declaration.submit.reserved}
    silent = request.model_copy(update={"sound": None}) if "sound" in used else request
    body: dict[str, Any] = fill_template(declaration.submit.body, values) or {}
    return extra_fields(silent, reserved) | body


def _refuse_unsaid(request: GenerationRequest, facts: ModelFacts | None, used: frozenset[str]) -> None:
    unsaid = [name for name in ("seed", "negative_prompt", "style") if name not in used]
    says_size, lists_sizes = bool(used & SIZE_NAMES), bool(facts and facts.sizes)
    if not used & LENGTH_NAMES and not (facts and len(facts.lengths) == 1):
        unsaid.append("seconds")
    if not says_size and not {"aspect_ratio", "resolution"} <= used:
        unsaid.append("size")
    unsaid += [
        name
        for name in ("aspect_ratio", "resolution")
        if name not in used and not (says_size and lists_sizes)
    ]
    refuse_fields(request, "characters", *unsaid)
    if "watermark" not in used:
        refuse_flags(request, "watermark")


def _plain_values(request: GenerationRequest) -> dict[str, Any]:
    fields = ("negative_prompt", "seed", "style", "sound", "watermark")
    return {
        "model": request.model,
        "prompt": request.prompt or None,
        **{name: getattr(request, name) for name in fields},
    }


def _shape_values(
    request: GenerationRequest, facts: ModelFacts | None, used: frozenset[str]
) -> dict[str, Any]:
    seconds = whole_seconds(request) if used & LENGTH_NAMES else None
    values: dict[str, Any] = {"seconds": seconds, "seconds_text": None if seconds is None else str(seconds)}
    says_size = bool(used & SIZE_NAMES)
    size = pick_size(request, facts) if says_size and facts and facts.sizes else request.size
    width, height = parse_size(size) if size else (None, None)
    values |= {"size": size, "width": width, "height": height}
    # A size that is said as such is not said again by its shape.
    shaped = request.model_copy(update={"size": None}) if says_size else request
    ratios, tiers = (facts.ratios, facts.tiers) if facts else ((), {})
    ratio = told_ratio(shaped, ratios, usual=USUAL_RATIOS) if "aspect_ratio" in used else None
    tier = told_tier(shaped, tiers, usual=USUAL_TIERS) if "resolution" in used else None
    return values | {"aspect_ratio": ratio, "resolution": tier}


def _input_values(request: GenerationRequest, used: frozenset[str]) -> dict[str, Any]:
    """For each placeholder of an input: one, or with ``[]`` all of that role."""
    values: dict[str, Any] = {}
    for name in used:
        role, dot, form = name.partition(".")
        known = next((each for each in get_args(Role) if each == role.removesuffix("[]")), None)
        if known is None:
            continue
        items = request.media_with(known) if role.endswith("[]") else at_most(request, known, 1)
        read = [_written(item, dot + form) for item in items]
        values[name] = (read if role.endswith("[]") else read[0]) if read else None
    return values


def _written(item: MediaInput, form: str) -> str:
    if form not in FORMS:
        raise UnsupportedWish(f"{item.role} can't be written as {form}", param=item.role)
    return FORMS[form](item)
