"""Reads requests to the feature endpoints: what each endpoint makes, and what it needs."""

from dataclasses import dataclass
from typing import Literal

from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway
from app.dialects.prompt.directives import read_directives, share_id
from app.dialects.prompt.prompt_request import PROMPT_FIELDS as OPTIONS
from app.dialects.prompt.prompt_request import FieldNames, PromptRequest
from app.dialects.prompt.storyboard import read_storyboard
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import MediaInput

DEFAULT_MODELS = {"image": "gpt-image", "video": "sora2-landscape-10s"}
KNOWN_FIELDS = OPTIONS | {"prompt", "image", "remix_target_id", "async_mode", "video", "name", "timestamps"}
FIELD_NAMES = FieldNames(text="prompt", images="image", videos="video", target="remix_target_id")


@dataclass(frozen=True, slots=True)
class FeatureEndpoint:
    """What one endpoint makes, and which field it needs beside the prompt."""

    path: str
    summary: str
    kind: Literal["image", "video"]
    body: str
    needs: Literal["", "image", "remix_target_id", "shots"] = ""


FEATURES = (
    FeatureEndpoint("/images/generate", "Make an image from text", "image", "MakeImage"),
    FeatureEndpoint("/images/transform", "Make an image from an image", "image", "TransformImage", "image"),
    FeatureEndpoint("/videos/generate", "Make a video from text", "video", "MakeVideo"),
    FeatureEndpoint("/videos/transform", "Make a video from an image", "video", "TransformVideo", "image"),
    FeatureEndpoint("/videos/remix", "Make a video anew", "video", "RemixFeature", "remix_target_id"),
    FeatureEndpoint(
        "/videos/storyboard", "Make a video of several shots", "video", "MakeStoryboard", "shots"
    ),
)
WITH_CHARACTER = FeatureEndpoint("/characters/generate", "Make a character and a video with it", "video", "")


def prompt_request_for(
    body: Body, services: Gateway, *, feature: FeatureEndpoint, cast: tuple[MediaInput, ...] = ()
) -> PromptRequest:
    """Checks ``body`` without fetching anything. Raises ``InvalidRequest``, ``MissingField`` or ``UnknownModel``."""
    prompt = body.required_text("prompt")
    model = body.text("model") or DEFAULT_MODELS[feature.kind]
    if services.catalog.kind_of(model) != feature.kind:
        raise UnknownModel(model)
    if feature.needs == "shots" and not read_storyboard(read_directives(prompt).prompt):
        raise InvalidRequest(
            "prompt must be a storyboard: [5.0s]what happens [5.0s]what happens then", param="prompt"
        )
    return PromptRequest(
        kind=feature.kind,
        model=model,
        text=prompt,
        field_names=FIELD_NAMES,
        images=(_require_source(body, "image"),) if feature.needs == "image" else (),
        remix_target=_read_remix_target(body) if feature.needs == "remix_target_id" else None,
        media=cast,
    )


def _require_source(body: Body, name: str) -> MediaSource:
    source = body.source(name)
    if source is None:
        raise MissingField(name)
    return source


def _read_remix_target(body: Body) -> str:
    """``s_<32 hex>`` of a share link, else the text itself: a task's id in any dialect's form."""
    target = body.required_text("remix_target_id").strip()
    return share_id(target) or target
