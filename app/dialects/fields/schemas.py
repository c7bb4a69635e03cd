"""The words that every dialect which makes films reads, for `/openapi.json`."""

from app.dialects.openapi.schemas import (
    FLAG,
    MEDIA,
    RATIO,
    RESOLUTION,
    SIZE,
    TEXT,
    TIME_SPAN,
    WEBHOOK_URL,
    WHOLE,
    Schema,
    list_of,
    object_of,
    schema_ref,
)

LENGTH: Schema = {"anyOf": [TEXT, {"type": "number"}], "examples": [8, "8"]}
SIDE: Schema = {"anyOf": [TEXT, WHOLE], "description": "Pixels; both sides are needed", "examples": [1280]}
ONE: Schema = {"anyOf": [TEXT, WHOLE], "description": "Must be 1: one request makes one task"}
SOUND: Schema = {"anyOf": [FLAG, TEXT], "description": "Whether the film is to be heard"}
PICTURES: Schema = {
    "anyOf": [MEDIA, list_of(MEDIA)],
    "description": "One picture is the first frame, several are references",
}
CLIPS: Schema = {
    "anyOf": [MEDIA, object_of(("id",), id=TEXT), list_of(MEDIA)],
    "description": "One clip, or the id of a video of yours, is changed; several clips are references",
}
REFERENCES: Schema = {"anyOf": [MEDIA, list_of(MEDIA)]}
FRAME = object_of(
    ("frame_type",),
    frame_type={"enum": ["first_frame", "last_frame"]},
    image_url={"anyOf": [TEXT, object_of(url=TEXT)]},
)
SHOT = object_of(seconds=LENGTH, duration=LENGTH, prompt=TEXT, text=TEXT, scene=TEXT)

FILM_FIELDS: dict[str, Schema] = {
    "seconds": LENGTH,
    "duration": LENGTH,
    "n_seconds": LENGTH,
    "size": SIZE,
    "width": SIDE,
    "height": SIDE,
    "aspect_ratio": RATIO,
    "ratio": RATIO,
    "orientation": {"enum": ["landscape", "portrait", "square", "horizontal", "vertical"]},
    "resolution": RESOLUTION,
    "quality": {"type": "string", "description": "A resolution; another word goes to the upstream"},
    "hd": {"type": "boolean", "description": "1080p"},
    "enable_upsample": {"type": "boolean", "description": "1080p"},
    "generate_audio": SOUND,
    "generate_sound": SOUND,
    "sound": SOUND,
    "audio": {"anyOf": [FLAG, MEDIA], "description": "Whether the film is to be heard, or a sound for it"},
    "audio_url": REFERENCES,
    "reference_audio": REFERENCES,
    "reference_audios": REFERENCES,
    "n": ONE,
    "n_variants": ONE,
    "style": TEXT,
    "seed": {"anyOf": [TEXT, WHOLE]},
    "negative_prompt": TEXT,
    "watermark": FLAG,
    "private": {
        "type": "boolean",
        "description": "Links need the key, and nothing can be made from the film",
    },
    "max_cost": {
        "anyOf": [TEXT, {"type": "number", "minimum": 0}],
        "description": "The most that it may cost, in US dollars: refused, or made elsewhere, where it would cost more",
    },
    "priority": {
        "type": "integer",
        "enum": [-1, 0, 1],
        "description": "Sooner (1) or later (-1) than other tasks of the key; the key says how high it may be",
    },
    "start_after": {
        "anyOf": [TEXT, {"type": "number"}],
        "description": "A moment until which it waits: seconds since 1970 or ISO 8601 with its zone, at most 30 days from now",
    },
    "shots": {**list_of(SHOT), "description": "A storyboard: each shot with its length and text"},
    "notify_hook": WEBHOOK_URL,
    "callback_url": WEBHOOK_URL,
    "input_reference": PICTURES,
    "image": PICTURES,
    "images": PICTURES,
    "image_url": PICTURES,
    "image_urls": PICTURES,
    "frame_images": list_of(FRAME),
    "first_frame": MEDIA,
    "first_frame_image": MEDIA,
    "first_frame_url": MEDIA,
    "last_frame": MEDIA,
    "last_frame_image": MEDIA,
    "last_frame_url": MEDIA,
    "image_tail": MEDIA,
    "input_references": REFERENCES,
    "reference_image": REFERENCES,
    "reference_images": REFERENCES,
    "video": CLIPS,
    "videos": CLIPS,
    "video_url": CLIPS,
    "reference_video": REFERENCES,
    "reference_videos": REFERENCES,
    "remix_target_id": {"type": "string", "description": "A video of yours to make anew"},
    "character_url": MEDIA,
    "character_timestamps": TIME_SPAN,
}
"""All are optional. The same thing may be said in one word only: two that differ are refused."""
FILM_SCHEMA = object_of((), **FILM_FIELDS)


def film_body(required: tuple[str, ...] = (), /, **properties: Schema) -> Schema:
    """The body of a request for a film: the words of all dialects, and the dialect's own."""
    return {"allOf": [object_of(required, **properties), schema_ref("FilmFields")]}
