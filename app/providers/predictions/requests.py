"""Builds a prediction's endpoint and input from the facts of its model."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.fact_checks import settle_request
from app.providers.hosted_models import ModelFamily, model_input
from app.providers.inputs import nearest_tier
from app.providers.model_facts import FactsForm, ModelFacts, read_facts
from app.providers.predictions.services import BY_NAME, PredictionsService

MODEL = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)*", re.ASCII)
FRAMES: frozenset[Role] = frozenset({"first_frame", "last_frame"})
# What most models of WaveSpeed and Atlas Cloud call their inputs.
USUAL_FIELDS: Mapping[Role, str] = {"first_frame": "image", "last_frame": "last_image"}
USUAL_LISTS: Mapping[Role, str] = {"reference_image": "images"}


class EndpointNames(FactsForm):
    """What is added to a family's bare name, by its inputs; empty: there is no such endpoint."""

    text: str
    first: str
    references: str = ""


class InputTraits(FactsForm):
    """``traits`` of a model in ``predictions.toml``."""

    fields: Mapping[Role, str] = {}
    """The field of a role with one input."""
    lists: Mapping[Role, str] = {}
    """The field of a role with several."""
    ratio_field: str = "aspect_ratio"
    tier_words: Mapping[str, str] = {}
    sound_field: str = ""
    watermark_field: str = ""
    lacks: tuple[str, ...] = ()
    frame_shapes: bool = False
    """With a first frame there is no field for the ratio: the picture has one."""
    endpoints: EndpointNames | None = None
    """None: the model's name is the endpoint."""
    needs: tuple[Role, ...] = ()


@dataclass(frozen=True, slots=True)
class PredictionModel:
    family: ModelFamily
    traits: InputTraits
    facts: ModelFacts | None

    @property
    def inputs(self) -> Mapping[Role, int]:
        return self.facts.inputs if self.facts else {}


def model_of(name: str, service: PredictionsService) -> PredictionModel:
    facts = read_facts("predictions").find_model(name)
    if facts is None:
        usual = {"fields": USUAL_FIELDS, "lists": USUAL_LISTS} if service.takes_bytes else {}
        traits = InputTraits(**usual)
        family = ModelFamily(fields=traits.fields, lists=traits.lists, by_address=not service.takes_bytes)
        return PredictionModel(family, traits, None)
    told = {key: value for key, value in facts.traits.items() if key not in BY_NAME}
    traits = InputTraits(**{**told, **facts.traits.get(service.name, {})})
    roles = _endpoint_roles(name) if traits.endpoints else None
    facts = facts if roles is None else _with_roles(facts, roles)
    family = ModelFamily(
        inputs=_bounds(traits, facts),
        fields={role: field for role, field in traits.fields.items() if role in facts.inputs},
        lists={role: field for role, field in traits.lists.items() if role in facts.inputs},
        seconds=facts.seconds,
        lengths=facts.lengths,
        ratios=facts.ratios,
        tiers=facts.tiers,
        tier_words=traits.tier_words,
        lacks=traits.lacks,
        sound=traits.sound_field,
        ratio_field=traits.ratio_field,
        watermark=traits.watermark_field,
        by_address=not service.takes_bytes,
    )
    return PredictionModel(family, traits, facts)


def endpoint_and_input(request: GenerationRequest, model: PredictionModel) -> tuple[str, dict[str, Any]]:
    """Raises ``UnsupportedWish`` for what the model has no field for."""
    if not MODEL.fullmatch(request.model):
        raise UnsupportedWish("a model is named like owner/model/endpoint", param="model")
    request = settle_request(request, model.facts)
    endpoint = _endpoint_of(request, model.traits)
    request = _settle_shape(request, model)
    return endpoint, model_input(_in_order(request), model.family)


def _bounds(traits: InputTraits, facts: ModelFacts) -> dict[Role, int]:
    """Roles that share a list fill it between them."""
    return {
        role: sum(
            facts.inputs.get(other, 0) for other, name in traits.lists.items() if name == traits.lists[role]
        )
        if role in traits.lists
        else most
        for role, most in facts.inputs.items()
    }


def _endpoint_of(request: GenerationRequest, traits: InputTraits) -> str:
    roles = {item.role for item in request.media}
    if roles & FRAMES and roles - FRAMES and roles - set(traits.fields):
        raise UnsupportedWish("frames and references can't go into one request", param="reference_image")
    if "last_frame" in roles and "first_frame" not in roles and traits.fields.get("last_frame"):
        raise UnsupportedWish(f"{request.model} takes a last frame only with a first one", param="last_frame")
    ends = traits.endpoints
    if ends is None or _names_endpoint(request.model):
        return request.model
    if roles & set(traits.lists):
        return f"{request.model}/{ends.references}"
    return f"{request.model}/{ends.first if 'first_frame' in roles else ends.text}"


def _settle_shape(request: GenerationRequest, model: PredictionModel) -> GenerationRequest:
    """Where the first frame gives the shape, a size says only the resolution, and a ratio can't be told."""
    if not (model.traits.frame_shapes and request.media_with("first_frame")):
        return request
    if request.aspect_ratio:
        raise UnsupportedWish(f"{request.model} keeps the shape of its first frame", param="aspect_ratio")
    tier = nearest_tier(request, model.family.tiers) if model.family.tiers else request.resolution
    return request.model_copy(update={"size": None, "resolution": tier})


def _in_order(request: GenerationRequest) -> GenerationRequest:
    """A list that holds both frames has the first one first."""
    last = request.media_with("last_frame")
    rest = tuple(item for item in request.media if item not in last)
    return request.model_copy(update={"media": (*rest, *last)})


def _names_endpoint(model: str) -> bool:
    """Whether ``model`` itself says what goes in, as ``…/image-to-video`` does."""
    return "-to-video" in model.rsplit("/", 1)[-1]


def _endpoint_roles(model: str) -> frozenset[Role] | None:
    """The roles that a named endpoint takes: pictures as frames, or references, or nothing; None: no endpoint is named."""
    last = model.rsplit("/", 1)[-1]
    if not _names_endpoint(model):
        return None
    if last.startswith("text-"):
        return frozenset()
    return FRAMES if last.startswith("image-") else frozenset({"reference_image", "reference_video", "audio"})


def _with_roles(facts: ModelFacts, roles: frozenset[Role]) -> ModelFacts:
    inputs = {role: most for role, most in facts.inputs.items() if role in roles}
    needs = ["first_frame"] if roles == FRAMES else []
    return facts.model_copy(update={"inputs": inputs, "traits": {**facts.traits, "needs": needs}})
