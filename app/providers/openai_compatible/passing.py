"""Which fields of a client's own pass to a server: of a known engine a list, of any other all that don't steer it.

https://docs.vllm.ai/projects/vllm-omni/en/latest/serving/videos_api/
https://github.com/sgl-project/sglang/blob/main/python/sglang/multimodal_gen/runtime/entrypoints/openai/protocol.py
"""

from collections.abc import Collection, Mapping
from typing import Any

from app.errors import UnsupportedWish
from app.generation import GenerationRequest
from app.providers.inputs import extra_fields
from app.providers.openai_compatible.options import Engine
from app.providers.steering import client_names, refuse_steering

RESERVED = {
    "model", "prompt", "seconds", "duration", "size", "n", "api_key", "key", "input_reference", "input_references",
    "image_reference", "video_reference", "audio_reference", "video", "generate_sound", "generate_audio",
}  # fmt: skip
"""Fields that nobody may set beside the request: they choose the model, the account, the price or the inputs."""
ENGINE_FIELDS: Mapping[Engine, frozenset[str]] = {
    "vllm_omni": frozenset({
        "user", "quality", "guidance_scale", "guidance_scale_2", "true_cfg_scale", "boundary_ratio", "flow_shift",
        "sound_duration", "start_time_seconds", "output_format", "output_compression", "background",
    }),
    "sglang": frozenset({
        "user", "quality", "guidance_scale", "guidance_scale_2", "true_cfg_scale", "flow_shift", "max_sequence_length",
        "enable_teacache", "output_quality", "output_compression", "output_format", "background",
    }),
}  # fmt: skip
"""All that passes to a known engine beside the request's own fields."""


def passed_fields(
    request: GenerationRequest, engine: Engine, *, allow: Collection[str], sound: str
) -> dict[str, Any]:
    """``request.extra`` as the server gets it, and whether to make sound in the field ``sound``. Raises
    ``UnsupportedWish`` for a name that may not pass."""
    fields = extra_fields(request, RESERVED, sound=sound)
    known = ENGINE_FIELDS.get(engine)
    if known is None:
        refuse_steering(request, allow=allow)
        return fields
    unknown = next((name for name in client_names(request, allow=allow) if name not in known), None)
    if unknown is not None:
        raise UnsupportedWish(f"{request.model} takes no {unknown} from clients", param=unknown)
    return fields
