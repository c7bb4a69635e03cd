"""Which engine runs at an address: both describe their own forms at ``/openapi.json``, which costs nothing."""

from collections.abc import Mapping
from typing import Any

from app.errors import UpstreamError
from app.foreign import parse_json
from app.providers.http import UpstreamClient
from app.providers.openai_compatible.options import Engine

TITLES: Mapping[Engine, str] = {"vllm_omni": "vLLM-Omni", "sglang": "SGLang"}
FORM = "multipart/form-data"


async def recognise_engine(origin: UpstreamClient, headers: Mapping[str, str]) -> Engine:
    """Empty for a server that describes no video form of these engines, or nothing at all."""
    try:
        answer = await origin.probe("/openapi.json", headers=headers)
    except UpstreamError:
        return ""
    described = parse_json(answer.content) if answer.status < 300 else None
    fields = _video_form(described)
    if "generate_sound" in fields or "input_references" in fields or "boundary_ratio" in fields:
        return "vllm_omni"
    return "sglang" if {"perf_dump_path", "generator_device", "enable_teacache"} & fields else ""


def engine_words(found: Engine, told: Engine) -> str:
    """What an account's test says of the engine: nothing when the account names the right one, or none is known."""
    if not found or found == told:
        return ""
    change = f'set engine = "{found}" in the account\'s options'
    if told:
        return f"; it is {TITLES[found]}, not {TITLES[told]}: {change}"
    return f"; it is {TITLES[found]}: {change}, so that it gets its own form"


def _video_form(described: Any) -> set[str]:
    """The names of the form that creates a video."""
    content = _at(described, "paths", "/v1/videos", "post", "requestBody", "content")
    form = content.get(FORM) or content.get("application/x-www-form-urlencoded")
    schema = _at(form, "schema")
    name = str(schema.get("$ref") or _first_reference(schema)).rsplit("/", 1)[-1]
    whole = _at(described, "components", "schemas", name) or schema
    return set(_at(whole, "properties"))


def _first_reference(schema: Mapping[str, Any]) -> str:
    parts = schema.get("allOf")
    return (
        str(parts[0].get("$ref", ""))
        if isinstance(parts, list) and parts and isinstance(parts[0], dict)
        else ""
    )


def _at(value: Any, *names: str) -> dict[str, Any]:
    for name in names:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}
