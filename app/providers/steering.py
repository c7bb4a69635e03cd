"""Which of a client's own fields could steer the machine of a self-hosted server, or the price of its work: paths and
addresses, weights and devices, counts, frames and widths. They never pass, unless the operator allows a name.

https://github.com/sgl-project/sglang/blob/main/python/sglang/multimodal_gen/runtime/entrypoints/openai/protocol.py
"""

import re
from collections.abc import Collection

from app.errors import UnsupportedWish
from app.generation import GenerationRequest
from app.json_bodies import fold_name

STEERING_WORDS = {
    "path", "paths", "dir", "dirs", "directory", "folder", "file", "files", "filename", "url", "urls", "uri", "uris",
    "link", "links", "callback", "webhook", "hook", "lora", "loras", "adapter", "adapters", "checkpoint", "weights",
    "device", "host", "endpoint", "profile", "kwargs", "interpolation", "upscaling", "upscale",
}  # fmt: skip
"""A name with one of these words reads or writes files, fetches addresses, loads weights or multiplies the work."""
STEERING_NAMES = {
    "width", "height", "short_edge", "fps", "frames", "num_frames", "frame_count", "video_length", "n_frames", "steps",
    "num_steps", "num_inference_steps", "infer_steps", "inference_steps", "sampling_steps", "num_outputs",
    "num_outputs_per_prompt", "num_videos", "num_videos_per_prompt", "num_images", "num_images_per_prompt", "count",
    "batch_size", "num_profiled_timesteps", "extra_body", "extra_json", "extra_params", "extra_args", "video_params",
    "cache_dit_params", "skip_softmax_params", "attention_backend_override", "enhance_prompt",
}  # fmt: skip
HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def refuse_steering(request: GenerationRequest, *, allow: Collection[str]) -> None:
    """Raises ``UnsupportedWish`` for a name in ``request.extra`` that steers the server and is not in ``allow``."""
    for name in client_names(request, allow=allow):
        if steers(name):
            text = f"{name} steers the server or the price of {request.model}, so it is not passed on"
            raise UnsupportedWish(text, param=name)


def client_names(request: GenerationRequest, *, allow: Collection[str]) -> list[str]:
    """The names in ``request.extra`` that have a value and that the operator does not allow by name."""
    allowed = {fold_name(name) for name in allow}
    return [n for n, value in request.extra.items() if value is not None and fold_name(n) not in allowed]


def steers(name: str) -> bool:
    """Whether a server may take ``name``, however it is spelt, for a field that steers its machine or the price."""
    words = re.split(r"[^a-z0-9]+", fold_name(HUMP.sub("_", name)))
    return "_".join(words) in STEERING_NAMES or not STEERING_WORDS.isdisjoint(words)
