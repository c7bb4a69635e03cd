"""Replicate's models: the names of their fields, from the file of facts or from the schema that Replicate publishes."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from app.errors import PollFailed, UnsupportedWish
from app.generation import Role
from app.providers.hosted_models import ModelFamily, family_of_facts
from app.providers.model_facts import read_facts
from app.providers.model_schemas import read_schema
from app.providers.reading import Fields, Text

MODEL_NAME = re.compile(r"(?:(deployments)/)?([\w.-]+)/([\w.-]+?)(?::(\w+))?", re.ASCII)
INPUT = ("components", "schemas", "Input")
DESCRIBED_FIELDS: Mapping[Role, str] = {"first_frame": "image", "source_video": "video", "audio": "audio"}
DESCRIBED = ModelFamily(
    kinds=frozenset({"video", "image", "audio"}), sound="generate_audio", fields=DESCRIBED_FIELDS
)
"""The usual names, for what an operator's description of a model leaves out."""


class ModelVersion(BaseModel):
    """https://replicate.com/docs/reference/http#models.versions.get"""

    id: Text = ""
    openapi_schema: Fields = {}


class ModelDocument(BaseModel):
    """https://replicate.com/docs/reference/http#models.get"""

    latest_version: ModelVersion | None = None


class DeploymentRelease(BaseModel):
    model: Text = ""
    version: Text = ""


class DeploymentDocument(BaseModel):
    """https://replicate.com/docs/reference/http#deployments.get"""

    current_release: DeploymentRelease | None = None


def known_family(model: str) -> ModelFamily | None:
    facts = read_facts("replicate").find_model(model)
    return family_of_facts(facts, ModelFamily) if facts else None


def published_family(schema: Mapping[str, Any]) -> ModelFamily:
    """A version's family by its own schema. Raises ``PollFailed`` for a schema without an input."""
    told = read_schema(schema, where=INPUT)
    if told is None:
        raise PollFailed("Replicate's schema of the model can't be read")
    return told.family()


def is_unknown(model: str) -> bool:
    """Whether only the vendor's own schema tells what it takes."""
    return MODEL_NAME.fullmatch(model) is not None and known_family(model) is None


def submit_path(model: str) -> tuple[str, str | None]:
    """The path to submit to, and the version that the body has to contain, if any."""
    match = MODEL_NAME.fullmatch(model)
    if match is None:
        raise UnsupportedWish("a Replicate model must be like owner/name", param="model")
    deployment, owner, name, version = match.groups()
    if version:
        return "/v1/predictions", version
    return f"/v1/{deployment or 'models'}/{owner}/{name}/predictions", None
