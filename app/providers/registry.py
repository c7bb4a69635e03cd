"""Every provider, alphabetical, one line each. A provider is loaded when the first account uses it."""

import importlib

from app.errors import InvalidRequest
from app.providers.base import Account, Provider
from app.providers.http import UpstreamClient
from app.providers.http_messages import UpstreamTimeouts
from app.providers.transport import UpstreamTransport

PROVIDERS = (
    "anthropic",
    "ark",
    "bfl",
    "chat_relay",
    "comfyui",
    "dashscope",
    "declared",
    "fal",
    "feature_relay",
    "gemini",
    "jimeng",
    "kling",
    "lightx2v",
    "ltx",
    "luma",
    "midjourney",
    "minimax",
    "openai_compatible",
    "openrouter",
    "pixverse",
    "predictions",
    "replicate",
    "runway",
    "siliconflow",
    "studio",
    "suno",
    "together",
    "unified_relay",
    "vertex_veo",
    "vidu",
    "xai",
    "zhipu",
)
DEFAULT_PROVIDER = "openai_compatible"
"""Of an account that names none."""


def provider_class(name: str) -> type[Provider]:
    """The one subclass of ``Provider`` that ``<name>/provider.py`` defines. Raises ``InvalidRequest`` for a name that
    is not in the list."""
    if name not in PROVIDERS:
        known = ", ".join(PROVIDERS)
        raise InvalidRequest(f"Unknown provider: {name}. Known: {known}", param="provider")
    module = importlib.import_module(f"{__package__}.{name}.provider")
    classes = [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Provider) and value.__module__ == module.__name__
    ]
    (found,) = classes
    return found


def create_provider(
    account: Account, transport: UpstreamTransport, *, timeouts: UpstreamTimeouts | None = None
) -> Provider:
    """The provider of ``account``, which sends through ``transport``; whoever built ``transport`` closes it.

    Raises ``InvalidRequest`` with ``param`` for an account that can't work.
    """
    kind = provider_class(account.provider)
    client = UpstreamClient(
        transport, base_url=kind.base_url_for(account), headers=kind.auth_headers(account), timeouts=timeouts
    )
    return kind(account, client)
