"""One account of each provider as an operator would write it; the table of providers is made from them."""

import json
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.providers.base import Account
from app.providers.registry import PROVIDERS

# The models whose abilities stand for the provider's in the table; "" is the provider in general.
MODELS: dict[str, tuple[str, ...]] = {
    "ark": ("doubao-seedance-2-5-260628", "doubao-seedream-5-0-260128"),
    "bfl": ("flux-3-video", "flux-2-pro"),
    "comfyui": ("wan",),
    "dashscope": ("wan2.7-t2v", "wan2.7-i2v", "wan2.7-r2v", "qwen-image-3.0"),
    "fal": ("bytedance/seedance-2.0",),
    "gemini": ("gemini-omni-1.1-flash",),
    "jimeng": ("jimeng_v30",),
    "kling": ("kling-v3", "kling-v3-omni", "kling-v2-1"),
    "ltx": ("ltx-2-3-pro", "ltx-2-pro"),
    "luma": ("ray-2", "ray-flash-2"),
    "minimax": ("MiniMax-Hailuo-2.3", "MiniMax-H3"),
    "openrouter": ("google/veo-3.1",),
    "pixverse": ("v6",),
    "replicate": ("bytedance/seedance-2.0", "wan-video/wan-2.7"),
    "runway": ("gen4.5", "gen4_turbo", "aleph2", "gen4_image"),
    "vertex_veo": ("veo-3.1-generate-001",),
    "vidu": ("viduq3-pro", "viduq2"),
    "xai": ("grok-imagine-video", "grok-imagine-image-2.0"),
}
WORKFLOW = {
    "graph": {
        "1": {"class_type": "CLIPTextEncode", "inputs": {"text": ""}},
        "2": {"class_type": "LoadImage", "inputs": {"image": ""}},
    },
    "inputs": {
        "prompt": {"node": "1", "field": "text"},
        "first_frame": {"node": "2", "field": "image"},
    },
}


def sample_account(provider: str) -> Account:
    """An account that can be built, with a secret that opens nothing."""
    options: dict[str, object] = {}
    secret = "access-key|secret-key" if provider in ("jimeng", "kling") else "key"
    if provider == "comfyui":
        options = {"workflows": {"wan": WORKFLOW}}
    elif provider == "studio":
        options = {"workdir": "studio"}
    elif provider == "vertex_veo":
        secret = _service_account()
    return Account(
        id="sample",
        provider=provider,
        name=provider,
        base_url="https://upstream.example",
        secret=secret,
        options=options,
    )


def sample_accounts() -> list[Account]:
    return [sample_account(provider) for provider in PROVIDERS]


@cache
def _service_account() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return json.dumps(
        {
            "type": "service_account",
            "project_id": "sample",
            "client_email": "sample@sample.iam.gserviceaccount.com",
            "private_key": pem,
            "token_uri": "https://oauth2.googleapis.com/token",
        }
    )
