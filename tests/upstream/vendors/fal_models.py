"""Endpoints of fal's models with their schemas, after https://fal.ai/models/<endpoint>/llms.txt, autumn 2026."""

from typing import Any

from tests.upstream.vendors.schemas import (
    FLAG,
    LINK,
    LINKS,
    NUMBER,
    PROMPT,
    Properties,
    input_schema,
    links,
    whole,
    words,
)

WIDE = words("16:9", "9:16")
SQUARE = words("16:9", "9:16", "1:1")
SIX = words("21:9", "16:9", "4:3", "1:1", "3:4", "9:16", default="16:9")
SECONDS = {"type": "array", "items": {"type": "object"}}
KLING: Properties = {
    "prompt": PROMPT, "multi_prompt": SECONDS, "duration": words(*map(str, range(3, 16)), default="5"),
    "generate_audio": FLAG, "negative_prompt": PROMPT, "cfg_scale": {"type": "number"}, "shot_type": PROMPT,
}  # fmt: skip
OMNI: Properties = {name: KLING[name] for name in ("prompt", "multi_prompt", "duration", "generate_audio")}
SEEDANCE: Properties = {
    "prompt": PROMPT, "duration": words("auto", *map(str, range(4, 16))), "generate_audio": FLAG, "seed": NUMBER,
    "resolution": words("480p", "720p", "1080p", default="720p"), "aspect_ratio": SIX, "end_user_id": PROMPT,
}  # fmt: skip
VEO: Properties = {
    "prompt": PROMPT, "duration": words("4s", "6s", "8s", default="8s"), "generate_audio": FLAG, "seed": NUMBER,
    "resolution": words("720p", "1080p", "4k"), "aspect_ratio": WIDE, "negative_prompt": PROMPT,
    "auto_fix": FLAG,
}  # fmt: skip
LTX: Properties = {
    "prompt": PROMPT, "duration": words(6, 8, 10, 12, 14, 16, 18, 20), "generate_audio": FLAG, "fps": NUMBER,
    "resolution": words("1080p", "1440p", "2160p"), "aspect_ratio": WIDE,
}  # fmt: skip
FLUX_VIDEO: Properties = {
    "prompt": PROMPT, "duration": whole(5, 20), "generate_audio": FLAG, "aspect_ratio": SIX,
    "resolution": words("720p", "1080p"),
}  # fmt: skip
RATIOS = words("16:9", "9:16", "1:1", "4:3", "3:4", "3:2", "2:3", "21:9", default="1:1")
PICTURE: Properties = {"prompt": PROMPT, "seed": NUMBER, "num_images": NUMBER}
FRAMES = {"image_url": LINK, "end_image_url": LINK}
SIZE: dict[str, Any] = {
    "anyOf": [
        {"$ref": "#/components/schemas/ImageSize"},
        {"type": "string", "enum": ["square_hd", "landscape_16_9"]},
    ],
    "type": "object",
}


def endpoints(name: str, shared: Properties, frames: Properties, **more: Properties) -> dict[str, Any]:
    """Text, pictures, and what else there is; ``frames``: the first is required."""
    first = next(iter(frames))
    made = {
        f"{name}/text-to-video": input_schema(shared, "prompt" if "multi_prompt" not in shared else ""),
        f"{name}/image-to-video": input_schema(shared | frames, first),
    }
    made |= {f"{name}/{way}": input_schema(shared | fields, "prompt") for way, fields in more.items()}
    for schema in made.values():
        schema["required"] = [each for each in schema["required"] if each]
    return made


STARTS = {"start_image_url": LINK, "end_image_url": LINK}
REFERENCES = {"image_urls": links(9), "video_urls": links(9), "audio_urls": links(9)}
MODELS: dict[str, Any] = {
    **endpoints("fal-ai/kling-video/v3/pro", KLING | {"aspect_ratio": SQUARE}, STARTS),
    **endpoints(
        "fal-ai/kling-video/o3/pro",
        OMNI | {"aspect_ratio": SQUARE},
        FRAMES,
        **{"reference-to-video": {"image_urls": links(7)}},
    ),
    **endpoints("bytedance/seedance-2.0", SEEDANCE, FRAMES, **{"reference-to-video": REFERENCES}),
    "fal-ai/veo3.1": input_schema(VEO, "prompt"),
    **{
        f"fal-ai/veo3.1{tier}/{way}": input_schema(VEO | fields, "prompt", *fields)
        for tier in ("", "/fast")
        for way, fields in (
            ("image-to-video", {"image_url": LINK}),
            ("first-last-frame-to-video", {"first_frame_url": LINK, "last_frame_url": LINK}),
            ("reference-to-video", {"image_urls": links(3)}),
        )
    },
    **endpoints("fal-ai/ltx-2.3", LTX, FRAMES),
    "fal-ai/ltx-2.3/image-to-video/fast": input_schema(LTX | FRAMES, "prompt", "image_url"),
    **endpoints("blackforestlabs/flux-3-max", FLUX_VIDEO, FRAMES),
    "fal-ai/nano-banana-2": input_schema(PICTURE | {"aspect_ratio": RATIOS, "image_urls": LINKS}, "prompt"),
    "fal-ai/nano-banana-2/edit": input_schema(
        PICTURE | {"aspect_ratio": RATIOS, "image_urls": LINKS}, "prompt", "image_urls"
    ),
    "fal-ai/flux-pro/kontext": input_schema(PICTURE | {"aspect_ratio": RATIOS, "image_url": LINK}, "prompt"),
    "fal-ai/flux/dev": input_schema(PICTURE | {"image_size": SIZE, "image_url": LINK}, "prompt"),
    "fal-ai/hunyuan-video": input_schema(
        {
            "prompt": PROMPT, "aspect_ratio": WIDE, "resolution": words("480p", "580p", "720p"), "seed": NUMBER,
            "num_frames": words("129", "85"), "pro_mode": FLAG,
        },
        "prompt",
    ),
    "fal-ai/kling-video/v4/image-to-video": input_schema(
        {
            "prompt": PROMPT, "start_image_url": LINK, "tail_image_url": LINK, "reference_image_urls": links(10),
            "duration": words(*map(str, range(3, 31)), default="5"), "seed": NUMBER, "generate_audio": FLAG,
            "resolution": words("720p", "1080p", "4K"), "aspect_ratio": words("16:9", "9:16", "1:1", "21:9"),
        },
        "prompt", "start_image_url",
    ),
    "someone/new-model": input_schema(
        {
            "prompt": PROMPT, "image_url": LINK, "tail_url": LINK, "duration": words(*map(str, range(1, 11))),
            "aspect_ratio": SQUARE, "resolution": words("720p", "1080p"),
        },
        "prompt",
    ),
}  # fmt: skip


def document(endpoint: str) -> dict[str, Any]:
    """As ``/api/openapi/queue/openapi.json?endpoint_id=…`` tells it."""
    schema = MODELS[endpoint]
    picture = "num_images" in schema["properties"]
    made = {"images": {"type": "array"}} if picture else {"video": {"type": "object"}}
    size = {"type": "object", "properties": {"width": NUMBER, "height": NUMBER}}
    schemas = {"ModelInput": schema, "ModelOutput": {"type": "object", "properties": made}, "ImageSize": size}
    return {
        "openapi": "3.0.4",
        "info": {"title": f"Queue OpenAPI for {endpoint}", "x-fal-metadata": {"endpointId": endpoint}},
        "components": {"schemas": schemas},
        "paths": {
            f"/{endpoint}/requests/{{request_id}}": {"get": {"responses": {"200": _content("ModelOutput")}}},
            f"/{endpoint}": {"post": {"requestBody": {"required": True, **_content("ModelInput")}}},
        },
        "servers": [{"url": "https://queue.fal.run"}],
    }


def _content(name: str) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}
