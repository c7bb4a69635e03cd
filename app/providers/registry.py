"""Every provider, alphabetical, one line each; only those that accounts use are ever loaded."""

import importlib

import httpx2

from app.errors import InvalidRequest
from app.providers.base import Account, Provider
from app.providers.http import UpstreamClient, UpstreamTimeouts

PROVIDERS: dict[str, str] = {
    "anthropic": "app.providers.anthropic:Anthropic",
    "ark": "app.providers.ark.provider:Ark",
    "bfl": "app.providers.bfl.provider:BFL",
    "chat_relay": "app.providers.chat_relay.provider:ChatRelay",
    "comfyui": "app.providers.comfyui.provider:ComfyUI",
    "dashscope": "app.providers.dashscope.provider:DashScope",
    "fal": "app.providers.fal.provider:Fal",
    "feature_relay": "app.providers.feature_relay:FeatureRelay",
    "gemini": "app.providers.gemini.provider:Gemini",
    "jimeng": "app.providers.jimeng.provider:Jimeng",
    "kling": "app.providers.kling.provider:Kling",
    "lightx2v": "app.providers.lightx2v.provider:LightX2V",
    "ltx": "app.providers.ltx.provider:LTX",
    "luma": "app.providers.luma.provider:Luma",
    "midjourney": "app.providers.midjourney.provider:Midjourney",
    "minimax": "app.providers.minimax.provider:MiniMax",
    "openai_compatible": "app.providers.openai_compatible.provider:OpenAICompatible",
    "openrouter": "app.providers.openrouter.provider:OpenRouter",
    "pixverse": "app.providers.pixverse.provider:PixVerse",
    "replicate": "app.providers.replicate.provider:Replicate",
    "runway": "app.providers.runway.provider:Runway",
    "studio": "app.providers.studio.provider:StudioProvider",
    "suno": "app.providers.suno:Suno",
    "unified_relay": "app.providers.unified_relay.provider:UnifiedRelay",
    "vertex_veo": "app.providers.vertex_veo.provider:VertexVeo",
    "vidu": "app.providers.vidu.provider:Vidu",
    "xai": "app.providers.xai.provider:XAI",
}


def provider_class(name: str) -> type[Provider]:
    """Raises ``InvalidRequest`` for a name that is not in the list."""
    place = PROVIDERS.get(name)
    if place is None:
        known = ", ".join(PROVIDERS)
        raise InvalidRequest(f"Unknown provider: {name}. Known: {known}", param="provider")
    module, _, attribute = place.partition(":")
    found: type[Provider] = getattr(importlib.import_module(module), attribute)
    return found


def create_provider(
    account: Account, transport: httpx2.AsyncBaseTransport, *, timeouts: UpstreamTimeouts | None = None
) -> Provider:
    """The provider of ``account``, speaking through ``transport``, which stays its builder's to close.

    Raises ``InvalidRequest`` with ``param`` for an account that can't work.
    """
    kind = provider_class(account.provider)
    client = UpstreamClient(
        transport, base_url=kind.base_url_for(account), headers=kind.auth_headers(account), timeouts=timeouts
    )
    return kind(account, client)
