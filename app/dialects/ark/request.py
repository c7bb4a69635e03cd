"""Reads a request to Ark: `content` parts with roles; options are fields, or flags in the text."""

import re
from collections.abc import Sequence
from typing import Any

from app.catalog.presets import video_preset
from app.dialects.fields.film import FilmRequest, build_film
from app.dialects.fields.inputs import StatedInput, read_inputs
from app.dialects.fields.length import manual_default
from app.dialects.http.body import Body
from app.dialects.http.gateway import Gateway, check_prompt
from app.dialects.http.media_sources import PART_TYPES, MediaPart, read_media_parts
from app.errors import InvalidRequest, MissingField
from app.generation import GenerationRequest, Role
from app.keys.key import ClientKey

FLAG = re.compile(r"(?<!\s)\s*--([a-z]+)[ \t=]+([^\s-]\S*|-1)(?=\s|$)")
FLAGS = {
    "rs": "resolution",
    "resolution": "resolution",
    "rt": "ratio",
    "ratio": "ratio",
    "dur": "duration",
    "duration": "duration",
    "wm": "watermark",
    "watermark": "watermark",
    "seed": "seed",
    "frames": "frames",
    "fps": "framespersecond",
    "framespersecond": "framespersecond",
    "cf": "camera_fixed",
    "camerafixed": "camera_fixed",
}
ROLES: dict[str, dict[str, Role]] = {
    "image_url": {
        "first_frame": "first_frame",
        "last_frame": "last_frame",
        "reference_image": "reference_image",
    },
    "video_url": {"reference_video": "reference_video"},
    "audio_url": {"reference_audio": "audio"},
}
FRAMES = ("first_frame", "last_frame")
UPSTREAM_DECIDES = ("adaptive", "keep_ratio")
KNOWN_FIELDS = {"model", "content", "return_last_frame", "safety_identifier"}


async def read_request(body: Body, services: Gateway, key: ClientKey) -> GenerationRequest:
    """Raises ``InvalidRequest``, ``MissingField`` or ``UnknownModel``."""
    preset = video_preset(body.required_text("model"))
    if "content" not in body:
        raise MissingField("content")
    parts = read_media_parts(body, "content", types=("text", *PART_TYPES))
    prompt, flags = _read_text([part.address for part in parts if part.type == "text"])
    check_prompt(prompt, param="content")
    media_parts = [part for part in parts if part.type != "text"]
    if not prompt and not media_parts:
        raise MissingField("content")
    options = _merge_options(body, flags)
    stated = [
        StatedInput("content", part.address, role)
        for part, role in zip(media_parts, _media_roles(media_parts), strict=True)
    ]
    film = FilmRequest(
        preset,
        prompt,
        await read_inputs(options, services, key, more=stated),
        KNOWN_FIELDS,
        default_seconds=manual_default(preset),
    )
    return await build_film(film, options, services, key=key)


def _read_text(texts: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The prompt without its flags (``--ratio 16:9 --dur 5``), and the flags. Words that are not flags of Ark stay."""
    flags: dict[str, Any] = {}

    def take_flag(match: re.Match[str]) -> str:
        name = FLAGS.get(match[1])
        if name is None:
            return match[0]
        flags[name] = match[2]
        return ""

    return FLAG.sub(take_flag, "\n".join(texts)).strip(), flags


def _merge_options(body: Body, flags: dict[str, Any]) -> Body:
    """Fields override flags. ``-1`` and ``adaptive`` mean that the upstream decides, so they are removed."""
    if body.boolean("return_last_frame"):
        raise InvalidRequest("return_last_frame is not offered here", param="return_last_frame")
    fields = flags | {name: value for name, value in body.fields.items() if value is not None}
    for name in ("duration", "seed"):
        if str(fields.get(name)) == "-1":
            del fields[name]
    if fields.get("ratio") in UPSTREAM_DECIDES:
        del fields["ratio"]
    return Body(fields, limits=body.limits)


def _media_roles(parts: list[MediaPart]) -> list[Role]:
    """The role of each part. A single picture without a role is the first frame. Raises ``InvalidRequest`` for frames
    mixed with references, as Ark does."""
    alone = sum(part.type == "image_url" for part in parts) == 1
    roles: list[Role] = []
    for part in parts:
        roles_by_word = ROLES[part.type]
        word = part.fields.text("role") or ("first_frame" if alone and part.type == "image_url" else "")
        if word not in roles_by_word:
            raise InvalidRequest(
                f"{part.fields.path}.role must be {' or '.join(roles_by_word)}", param="content"
            )
        roles.append(roles_by_word[word])
    framed = [role for role in roles if role in FRAMES]
    if len(framed) != len(set(framed)):
        raise InvalidRequest("content takes one first_frame and one last_frame", param="content")
    if framed and len(framed) != len(roles):
        raise InvalidRequest("content can't hold frames and references together", param="content")
    return roles
