"""Reads requests for images that are made by tasks."""

from dataclasses import dataclass, field
from typing import Literal

from app.dialects.fields.options import read_max_cost
from app.dialects.fields.queueing import read_priority, read_start
from app.dialects.http.body import Body, MediaSource
from app.dialects.http.gateway import Gateway, check_prompt, read_size
from app.dialects.http.media_sources import read_source
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import GenerationRequest

DEFAULT_MODEL = "gpt-image"
MOST_IMAGES = 10
VARIATION_PROMPT = "A variation of this image"
KNOWN_FIELDS = {
    "model",
    "prompt",
    "n",
    "size",
    "response_format",
    "stream",
    "partial_images",
    "image",
    "images",
    "mask",
    "user",
    "seed",
    "max_cost",
    "priority",
    "start_after",
    "negative_prompt",
    "quality",
    "background",
    "output_format",
    "output_compression",
    "moderation",
    "style",
}
USUAL_LOOKS = {
    "quality": ("auto", "standard"),
    "background": ("auto",),
    "output_format": ("png",),
    "output_compression": ("100",),
    "moderation": ("auto",),
    "style": ("vivid",),
}
"""OpenAI's own fields, with the values that ask for nothing beyond what is made anyway. Others go to the upstream."""
ResponseForm = Literal["url", "b64_json", "both"]
RESPONSE_FORMS: dict[str, ResponseForm] = {"": "both", "url": "url", "b64_json": "b64_json"}


@dataclass(frozen=True, slots=True)
class ImagesRequest:
    """``count`` images of one request, and the form of the answer."""

    request: GenerationRequest
    count: int
    response_form: ResponseForm
    stream: bool
    looks: dict[str, str] = field(default_factory=dict)
    """OpenAI's ``quality`` and ``background`` as they were asked for; answers repeat them."""

    def numbered_request(self, number: int) -> GenerationRequest:
        """The request for image ``number``, from 0. Each image gets the next seed, as one seed always makes the same picture."""
        seed = self.request.seed
        return self.request if seed is None else self.request.model_copy(update={"seed": seed + number})


async def read_images_request(body: Body, services: Gateway, *, path: str) -> ImagesRequest:
    """Raises ``InvalidRequest``, ``MissingField`` or ``UnknownModel``."""
    model = body.text("model") or DEFAULT_MODEL
    preset = services.catalog.preset_of(model, kind="image")
    if preset.kind != "image":
        raise UnknownModel(model)
    prompt = body.required_text("prompt") if path != "images/variations" else VARIATION_PROMPT
    check_prompt(prompt, param="prompt")
    form = RESPONSE_FORMS.get(body.text("response_format") or "")
    if form is None:
        raise InvalidRequest("response_format must be url or b64_json", param="response_format")
    if "mask" in body:
        raise InvalidRequest(f"{model} is made by upstreams that accept no mask", param="mask")
    count = body.integer("n", low=1, high=MOST_IMAGES) or 1
    stated = {name: value for name in USUAL_LOOKS if (value := body.value(name)) not in (None, "")}
    wishes = {name: value for name, value in stated.items() if str(value) not in USUAL_LOOKS[name]}
    looks = {name: body.text(name) or "" for name in stated if name != "output_compression"}
    size, most = body.text("size"), read_max_cost(body)
    request = GenerationRequest(
        kind="image",
        model=model,
        prompt=prompt,
        size=(read_size(size) if size != "auto" else None) or preset.size,
        seed=body.integer("seed"),
        negative_prompt=body.text("negative_prompt"),
        max_cost=None if most is None else most / count,  # each picture is a task
        priority=read_priority(body),
        start_after=read_start(body),
        extra=body.unknown_fields(KNOWN_FIELDS) | wishes,
    )
    sources = _read_pictures(body) if path != "images/generations" else ()
    media = [
        await read_source(source, services, role=role, param="image")
        for source, role in zip(sources, preset.image_roles(len(sources)), strict=True)
    ]
    return ImagesRequest(
        request.model_copy(update={"media": tuple(media)}),
        count,
        form,
        body.boolean("stream") or False,
        looks,
    )


def _read_pictures(body: Body) -> tuple[MediaSource, ...]:
    """The pictures in ``image`` (forms, one or many) and ``images`` (JSON)."""
    sources = (*body.sources("image"), *body.sources("images"))
    if not sources:
        raise MissingField("image")
    return sources
