"""Reads requests to the feature endpoints: what each endpoint makes, and what it needs."""

from dataclasses import dataclass
from typing import Literal

from app.dialects.fields.inputs import stated_inputs
from app.dialects.fields.words import TARGET
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway
from app.dialects.prompt.character_request import CHARACTER_FIELDS
from app.dialects.prompt.directives import read_directives
from app.dialects.prompt.prompt_request import PromptRequest
from app.dialects.prompt.storyboard import read_storyboard
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import MediaInput

DEFAULT_MODELS = {"image": "gpt-image", "video": "sora2-landscape-10s"}
KNOWN_FIELDS = frozenset({"model", "prompt", "stream", "stream_options", "async_mode"})


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
    _require_needed(body, prompt, feature)
    with_character = feature is WITH_CHARACTER
    return PromptRequest(
        kind=feature.kind,
        model=model,
        text=prompt,
        text_name="prompt",
        known=KNOWN_FIELDS | CHARACTER_FIELDS | {"video"} if with_character else KNOWN_FIELDS,
        media=cast,
        taken={"video"} if with_character else (),
    )


def _require_needed(body: Body, prompt: str, feature: FeatureEndpoint) -> None:
    if feature.needs == "image" and not any(each.role == "picture" for each in stated_inputs(body)):
        raise MissingField("image")
    if feature.needs == "remix_target_id":
        body.required_text(TARGET[0])
    shots = "shots" in body or read_storyboard(read_directives(prompt).prompt)
    if feature.needs == "shots" and not shots:
        text = "prompt must be a storyboard: [5.0s]what happens [5.0s]what happens then"
        raise InvalidRequest(text, param="prompt")
