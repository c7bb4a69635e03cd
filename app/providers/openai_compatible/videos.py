"""Request bodies of OpenAI's ``/v1/videos`` and ``/v1/images``, and the video objects that servers answer with.

https://platform.openai.com/docs/api-reference/videos
"""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import AliasChoices, BaseModel, Field

from app.errors import UpstreamRejected
from app.generation import GenerationRequest, MediaInput, MediaKind, Role
from app.providers.base import Failed, Operation, PollAnswer, Queued, ResultFile, Running, Succeeded
from app.providers.http_messages import FormFile
from app.providers.inputs import extra_fields, without_none
from app.providers.reading import (
    COMMON_STATES,
    Fields,
    Items,
    Percent,
    Text,
    clean_text,
    read_error,
    read_state,
    retry_after_of,
)

KINDS: frozenset[MediaKind] = frozenset({"video", "image"})
ROLES: frozenset[Role] = frozenset({"first_frame", "reference_image", "source_video"})
RESERVED = {
    "model", "prompt", "seconds", "duration", "size", "n", "api_key", "key", "input_reference", "video",
}  # fmt: skip
"""Fields that ``extra`` must not set: they choose the model, the account, the price or the inputs."""


class VideoAnswer(BaseModel):
    """A video object. A field of an unexpected type is read as absent: only ``id`` and ``status`` are needed."""

    id: Text = Field(default="", validation_alias=AliasChoices("id", "task_id"))
    status: Text = ""
    progress: Percent = None
    error: Any = None
    url: Text = ""
    video_url: Text = ""
    urls: Items = []
    metadata: Fields = {}
    usage: Fields = {}
    seconds: Text = ""
    size: Text = ""

    @property
    def state_word(self) -> str:
        return self.status.strip().lower()

    @property
    def has_failed(self) -> bool:
        return COMMON_STATES.get(self.state_word) in {"failed", "cancelled", "expired"}

    def public_link(self, base_url: str) -> str | None:
        """The first link to another origin than ``base_url``; links of the same origin may need the key."""
        links = (self.video_url, self.url, self.metadata.get("url"), *self.urls)
        return next(
            (link for link in links if isinstance(link, str) and _is_other_origin(link, base_url)), None
        )


def check_inputs(request: GenerationRequest, *, references: int) -> None:
    """Raises ``UpstreamRejected`` for inputs that this protocol can't express; nothing is dropped silently."""
    if request.kind not in KINDS:
        raise UpstreamRejected(f"this upstream makes no {request.kind}", param="model")
    for item in request.media:
        if item.role not in ROLES:
            raise UpstreamRejected(f"this upstream takes no {item.role}", param=item.role)
        if item.content is None and not item.url:
            raise UpstreamRejected(f"the {item.role} is no longer there", param=item.role)
    if request.kind == "video" and len(_image_inputs(request)) > references:
        text = f"this upstream takes {references} reference image(s)"
        raise UpstreamRejected(text, param="input_reference")


def submit_target(request: GenerationRequest, earlier: Operation | None) -> tuple[str, dict[str, Any] | None]:
    """The path, and the fields that name the video to change if the upstream made it; no model is sent then."""
    if request.kind == "image":
        return ("/images/edits" if request.media else "/images/generations"), None
    if request.action == "generate":
        return "/videos", None
    if request.action == "remix":
        if earlier is None:
            raise UpstreamRejected("the video to remix is not known to this upstream", param="remix_of")
        return f"/videos/{quote(earlier.id, safe='')}/remix", {}
    path = "/videos/edits" if request.action == "edit" else "/videos/extensions"
    if request.media_with("source_video"):
        return path, None
    if earlier is None:
        raise UpstreamRejected("there is no video to change", param="video")
    return path, {"video": {"id": earlier.id}}


def submit_fields(request: GenerationRequest, *, with_model: bool) -> dict[str, Any]:
    fields = {
        "model": request.model if with_model else None,
        "prompt": request.prompt or None,
        "seconds": f"{request.seconds:g}" if request.seconds is not None else None,
        "size": request.size,
        "aspect_ratio": request.aspect_ratio,
        "resolution": request.resolution,
        "seed": request.seed,
        "negative_prompt": request.negative_prompt,
        "watermark": request.watermark,
    }
    extra = extra_fields(request, RESERVED, sound="generate_audio")
    return extra | without_none(fields) | _linked_inputs(request)


def form_files(request: GenerationRequest) -> list[FormFile]:
    """The inputs whose bytes are at hand, as parts of a form."""
    items = [item for item in request.media if item.content is not None]
    several = sum(item.role != "source_video" for item in items) > 1
    return [_form_file(item, request=request, several=several) for item in items]


def poll_answer(
    video: VideoAnswer, headers: Mapping[str, str], *, provider: str, secrets: Iterable[str], file: ResultFile
) -> PollAnswer:
    """The state of ``video``; ``file`` is its result when it is finished."""
    state, interval = read_state(video.state_word, COMMON_STATES, provider=provider), _poll_interval(headers)
    if state == "queued":
        return Queued(retry_after=interval)
    if state == "succeeded":
        facts = {"seconds": video.seconds, "size": video.size}
        return Succeeded((file,), usage={**{k: v for k, v in facts.items() if v}, **video.usage})
    if state == "running":
        return Running(progress=video.progress, retry_after=interval)
    error = read_error({"error": video.error}) if video.error else None
    message = clean_text(error.message, secrets) if error else f"the upstream reports: {state}"
    if error and error.is_moderated:
        return Failed("content_policy_violation", message)
    return Failed(state if state in {"cancelled", "expired"} else "upstream_error", message)


def _poll_interval(headers: Mapping[str, str]) -> float | None:
    """Seconds until the next poll: OpenAI has a header of its own, in milliseconds."""
    hint = headers.get("openai-poll-after-ms", "")
    return retry_after_of({"retry-after-ms": hint}) if hint else retry_after_of(headers)


def _is_other_origin(link: str, base_url: str) -> bool:
    try:
        there, here = urlsplit(link), urlsplit(base_url)
        same = (there.scheme, there.hostname, there.port) == (here.scheme, here.hostname, here.port)
    except ValueError:
        return False
    return there.scheme in {"http", "https"} and bool(there.hostname) and not same


def _image_inputs(request: GenerationRequest) -> tuple[MediaInput, ...]:
    return request.media_with("first_frame", "reference_image")


def _form_file(item: MediaInput, *, request: GenerationRequest, several: bool) -> FormFile:
    if item.role == "source_video":
        name = "video"
    else:
        name = ("image" if request.kind == "image" else "input_reference") + ("[]" if several else "")
    ending = item.content_type.rsplit("/", 1)[-1].removeprefix("x-") or "bin"
    return FormFile(name, item.content or b"", item.content_type, f"{item.role}.{ending}")


def _linked_inputs(request: GenerationRequest) -> dict[str, Any]:
    """The inputs that are known only by URL, in the JSON form of the same fields."""
    videos = [item.url for item in request.media_with("source_video") if item.content is None]
    images = [{"image_url": item.url} for item in _image_inputs(request) if item.content is None]
    fields: dict[str, Any] = {"video": {"url": videos[0]}} if videos else {}
    if images and request.kind == "image":
        fields["images"] = images
    elif images:
        fields["input_reference"] = images[0] if len(images) == 1 else images
    return fields
