"""fal's families of models: their endpoints, and the names of their fields."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import RootModel

from app.errors import PollFailed, UnsupportedWish
from app.generation import GenerationRequest, Role
from app.providers.hosted_models import ModelFamily, family_of_facts
from app.providers.model_facts import read_facts
from app.providers.model_schemas import kinds_of_output, read_schema

MODEL = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)+", re.ASCII)
SCHEMA_PATH = "/api/openapi/queue/openapi.json"
"""Below https://fal.ai: the schema of the endpoint that ``endpoint_id`` names. No key is needed."""


@dataclass(frozen=True, slots=True)
class FalEndpoints:
    """What is added to a family's bare name, by its inputs; empty: nothing, or there is no such endpoint."""

    text: str = ""
    first: str = ""
    both: str = ""
    references: str = ""


@dataclass(frozen=True, slots=True)
class FalFamily(ModelFamily):
    endpoints: FalEndpoints | None = None
    """None: the model's name is the endpoint."""
    both_fields: Mapping[Role, str] = field(default_factory=dict)
    """Replaces ``fields`` when both frames are given."""


class EndpointDocument(RootModel[dict[str, Any]]):
    """An OpenAPI document of one endpoint."""


ANY_FIELDS: Mapping[Role, str] = {
    "first_frame": "image_url",
    "last_frame": "end_image_url",
    "source_video": "video_url",
    "audio": "audio_url",
}
DESCRIBED = FalFamily(
    kinds=frozenset({"video", "image", "audio"}),
    sound="generate_audio",
    fields=ANY_FIELDS,
    lists={"reference_image": "image_urls", "reference_video": "video_urls"},
    length="text",
)
"""The usual names, for what an operator's description of a model leaves out."""


def is_unknown(model: str) -> bool:
    """Whether only the vendor's own schema tells what it takes."""
    return MODEL.fullmatch(model) is not None and known_family(model) is None


def known_family(model: str) -> FalFamily | None:
    """From the file of facts. A name with an endpoint has only the inputs of that endpoint."""
    facts = read_facts("fal").find_model(model)
    if facts is None:
        return None
    ends = facts.traits.get("endpoints")
    family = family_of_facts(facts, FalFamily, endpoints=FalEndpoints(**ends) if ends else None)
    return _narrowed(family, model) if names_an_endpoint(model) and ends else family


def _narrowed(family: FalFamily, model: str) -> FalFamily:
    if "/text-to-" in model:
        return replace(family, fields={}, lists={}, endpoints=None)
    if "/reference-to-" in model:
        return replace(family, fields={}, endpoints=None)
    if "/first-last-frame-to-" in model:
        both = {name: role for role, name in family.both_fields.items()}
        return replace(family, fields=family.both_fields, lists={}, required=both, endpoints=None)
    if "/image-to-" in model:
        required = {family.fields["first_frame"]: "first_frame"}
        return replace(family, lists={}, required=required, endpoints=None)
    return family


def published_family(document: Mapping[str, Any], endpoint: str) -> FalFamily:
    """The endpoint's family by its own schema. Raises ``PollFailed`` for a document that holds none."""
    post = ("paths", f"/{endpoint}", "post", "requestBody", "content", "application/json", "schema")
    told = read_schema(document, where=post)
    if told is None:
        raise PollFailed(f"fal's schema of {endpoint} can't be read")
    result = ("paths", f"/{endpoint}/requests/{{request_id}}", "get", "responses", "200", "content")
    output = read_schema(document, where=(*result, "application/json", "schema"))
    family = replace(told, kinds=kinds_of_output(output)).family()
    return FalFamily(**{name: getattr(family, name) for name in ModelFamily.__dataclass_fields__})


def names_an_endpoint(model: str) -> bool:
    """Whether ``model`` itself names the inputs, as ``…/image-to-video`` does."""
    parts = model.split("/")
    return any("-to-" in part or part.endswith("-video") for part in parts[2:])


def endpoint_of(request: GenerationRequest, family: FalFamily) -> str:
    """The path of the request: ``request.model``, or the family's endpoint for its inputs."""
    if family.endpoints is None or names_an_endpoint(request.model):
        return request.model
    ends, frames = family.endpoints, {item.role for item in request.media}
    if frames & set(family.lists):
        suffix = ends.references
    elif "last_frame" in frames:
        if "first_frame" not in frames:
            raise UnsupportedWish(
                f"{request.model} takes a last frame only with a first one", param="last_frame"
            )
        suffix = ends.both
    else:
        suffix = ends.first if "first_frame" in frames else ends.text
    return f"{request.model}/{suffix}" if suffix else request.model
