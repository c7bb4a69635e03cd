"""Reads a chat request for a video or an image: the last user message and its parts."""

from dataclasses import dataclass
from typing import Any

from app.catalog.presets import preset_for
from app.dialects.fields.inputs import NAMED_ROLES, OpenRole, StatedInput, stated_inputs
from app.dialects.fields.length import SORA
from app.dialects.fields.words import TARGET
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway
from app.dialects.http.media_sources import refuse_unknown_keys
from app.dialects.prompt.character_request import CHARACTER_FIELDS
from app.dialects.prompt.prompt_request import PromptRequest, build_request
from app.errors import InvalidRequest, MissingField, UnknownModel
from app.generation import GenerationRequest, MediaInput
from app.keys.key import ClientKey

KNOWN_FIELDS = {
    "model",
    "messages",
    "stream",
    "stream_options",
    "async_mode",
    # Sent by chat clients; no video model reads them.
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "user",
    "stop",
    "tools",
    "tool_choice",
    "response_format",
    "metadata",
    "store",
}
PART_ROLES: dict[str, OpenRole] = {"image_url": "picture", "video_url": "clip", "audio_url": "audio"}


@dataclass(frozen=True, slots=True)
class CharacterClip:
    """The clip of a message that shows a character, and whether a film is made with it at once."""

    stated: StatedInput
    with_film: bool

    @property
    def name(self) -> str:
        return self.stated.name


def character_clip(body: Body, services: Gateway) -> CharacterClip | None:
    """A clip and nothing else makes a character. With a text, names of Sora's models make a film with that character, as
    ``/v1/characters/generate`` does: the feature manual says that both ways have the same effect. Other models change
    the clip."""
    model = body.required_text("model")
    if services.catalog.kind_of(model) != "video":
        return None
    text, inputs = _last_message(body)
    inputs = [*inputs, *stated_inputs(body)]
    clips = [each for each in inputs if each.role == "clip"]
    if len(clips) != 1 or TARGET[0] in body:
        return None
    if not text.strip():
        return CharacterClip(clips[0], with_film=False) if len(inputs) == 1 else None
    return CharacterClip(clips[0], with_film=True) if preset_for(model).base in SORA else None


async def read_chat(
    body: Body,
    services: Gateway,
    key: ClientKey,
    *,
    clip: CharacterClip | None = None,
    cast: tuple[MediaInput, ...] = (),
) -> GenerationRequest:
    """``cast`` is the character that was made of ``clip``. Raises ``InvalidRequest``, ``MissingField`` or ``UnknownModel``."""
    model = body.required_text("model")
    kind = services.catalog.kind_of(model)
    if kind not in ("video", "image"):
        raise UnknownModel(model)
    text, inputs = _last_message(body)
    prompt_request = PromptRequest(
        kind=kind,
        model=model,
        text=text,
        text_name="messages",
        known=KNOWN_FIELDS | CHARACTER_FIELDS | {clip.name} if clip else KNOWN_FIELDS,
        inputs=tuple(each for each in inputs if clip is None or each != clip.stated),
        media=cast,
        taken={clip.name} if clip else (),
    )
    return await build_request(prompt_request, body, services, key=key)


def _last_message(body: Body) -> tuple[str, list[StatedInput]]:
    """Text, pictures, clips and sounds of the last user message."""
    messages = [m for m in body.list("messages") if isinstance(m, dict) and m.get("role", "user") == "user"]
    if not messages:
        raise MissingField("messages")
    content = messages[-1].get("content")
    if content is None or content in ("", []):
        raise InvalidRequest("messages: the content of the last message is empty", param="messages")
    if isinstance(content, str):
        return content, []
    if not isinstance(content, list):
        raise InvalidRequest("messages: content must be a string or a list of parts", param="messages")
    parts = [part for part in content if isinstance(part, dict)]
    texts = [part.get("text") for part in parts if part.get("type") == "text"]
    if not all(isinstance(text, str) for text in texts):
        raise InvalidRequest("messages: a part of type text must hold a string", param="messages")
    return "\n".join(map(str, texts)), [_part_input(part) for part in parts if part.get("type") != "text"]


def _part_input(part: dict[str, Any]) -> StatedInput:
    name = part.get("type")
    if not isinstance(name, str) or name not in PART_ROLES:
        known = ", ".join(("text", *PART_ROLES))
        raise InvalidRequest(f"messages: the type of a part must be one of {known}", param="messages")
    value, word = part.get(name), part.get("role")
    address = value.get("url") if isinstance(value, dict) else value
    refuse_unknown_keys(part, {"type", "role", name}, where="messages: a part", param="messages")
    if isinstance(value, dict):
        refuse_unknown_keys(value, {"url"}, where=f"messages: {name}", param="messages")
    if not isinstance(address, str) or not address:
        raise InvalidRequest(f"messages: a part of type {name} must hold {name}.url", param="messages")
    if word is not None and not (isinstance(word, str) and word in NAMED_ROLES):
        raise InvalidRequest(
            f"messages: the role of a part must be one of {', '.join(NAMED_ROLES)}", param="messages"
        )
    return StatedInput(name, address, NAMED_ROLES[word] if word else PART_ROLES[name])
