"""Replicate's models with their schemas, after replicate.com/<owner>/<model>/api, autumn 2026."""

from typing import Any

from tests.upstream.vendors.schemas import FLAG, LINK, NUMBER, PROMPT, input_schema, links, whole, words

SQUARE = words("16:9", "9:16", "1:1")
EIGHT = words("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9")
KLING: dict[str, Any] = {
    "prompt": PROMPT, "start_image": LINK, "end_image": LINK, "mode": words("standard", "pro"),
    "duration": whole(3, 15), "aspect_ratio": SQUARE, "generate_audio": FLAG, "multi_prompt": PROMPT,
}  # fmt: skip
MODELS: dict[str, Any] = {
    "bytedance/seedance-2.0": input_schema(
        {
            "prompt": PROMPT, "image": LINK, "last_frame_image": LINK, "reference_images": links(9),
            "reference_videos": links(9), "reference_audios": links(9), "duration": whole(1, 15), "seed": NUMBER,
            "resolution": words("480p", "720p", "1080p"), "generate_audio": FLAG,
            "aspect_ratio": words("16:9", "9:16", "1:1", "4:3", "3:4", "21:9"),
        },
        "prompt",
    ),
    "kwaivgi/kling-v3-video": input_schema(KLING | {"negative_prompt": PROMPT}, "prompt"),
    "kwaivgi/kling-v3-omni-video": input_schema(
        KLING
        | {
            "reference_images": links(7), "reference_video": LINK,
            "video_reference_type": words("feature", "base"),
        },
        "prompt",
    ),
    "google/veo-3.1": input_schema(
        {
            "prompt": PROMPT, "image": LINK, "last_frame": LINK, "reference_images": links(3), "seed": NUMBER,
            "duration": words(4, 6, 8, default=8), "resolution": words("720p", "1080p"),
            "aspect_ratio": words("16:9", "9:16"), "generate_audio": FLAG, "negative_prompt": PROMPT,
        },
        "prompt",
    ),
    "bytedance/seedance-1-pro": input_schema(
        {
            "prompt": PROMPT, "image": LINK, "last_frame_image": LINK, "reference_images": links(4),
            "duration": whole(2, 12), "resolution": words("480p", "720p", "1080p"), "aspect_ratio": EIGHT,
            "seed": NUMBER, "camera_fixed": FLAG,
        },
        "prompt",
    ),
    "kwaivgi/kling-v1.6-pro": input_schema(
        {
            "prompt": PROMPT, "start_image": LINK, "end_image": LINK, "reference_images": links(4),
            "duration": words(5, 10), "aspect_ratio": SQUARE, "negative_prompt": PROMPT,
        },
        "prompt",
    ),
    "black-forest-labs/flux-2-pro": input_schema(
        {"prompt": PROMPT, "aspect_ratio": EIGHT, "input_images": links(8), "seed": NUMBER}, "prompt"
    ),
    "black-forest-labs/flux-kontext-pro": input_schema(
        {"prompt": PROMPT, "aspect_ratio": EIGHT, "input_image": LINK, "seed": NUMBER}, "prompt"
    ),
    "google/nano-banana": input_schema(
        {"prompt": PROMPT, "aspect_ratio": EIGHT, "image_input": links(14), "seed": NUMBER}, "prompt"
    ),
    "wan-video/wan-2.7": input_schema(
        {
            "prompt": PROMPT, "first_frame": LINK, "last_frame": LINK, "audio": LINK, "seed": NUMBER,
            "duration": words(5, 10, 15), "resolution": words("720p", "1080p"), "negative_prompt": PROMPT,
            "aspect_ratio": SQUARE,
        },
        "prompt",
    ),
    "acme/film": input_schema({"prompt": PROMPT, "video": LINK, "seed": NUMBER}, "prompt"),
}  # fmt: skip


def openapi(name: str) -> dict[str, Any]:
    """A version's ``openapi_schema``: words stand in schemas of their own, as Cog writes them."""
    schema = MODELS[name]
    schemas: dict[str, Any] = {}
    properties: dict[str, Any] = {}
    for field, told in schema["properties"].items():
        if "enum" in told:
            schemas[field] = {"type": told["type"], "enum": told["enum"], "title": field}
            reference = {"$ref": f"#/components/schemas/{field}"}
            properties[field] = {"allOf": [reference], "default": told["default"]}
        else:
            properties[field] = told
    schemas["Input"] = {**schema, "properties": properties}
    schemas["Output"] = {"type": "string", "format": "uri", "title": "Output"}
    return {"openapi": "3.0.2", "info": {"title": "Cog"}, "paths": {}, "components": {"schemas": schemas}}
