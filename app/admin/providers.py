"""`/admin/api/providers`: what can be added as an account, and what each needs."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter

from app.admin.access import AdminRequest, OwnerRoute
from app.admin.paging import whole_list
from app.errors import InvalidRequest
from app.providers import registry
from app.providers.base import Account
from app.providers.overview import ProviderOverview, all_overviews
from app.providers.samples import sample_account

router = APIRouter(route_class=OwnerRoute, prefix="/providers")
EMBEDDED = "studio"
SECRET_HINTS = {
    "jimeng": "access key|secret key",
    "kling": "access key|secret key, or one API key",
    "vertex_veo": "the JSON of a service account",
}
"""Where the secret is more than one word."""


@router.get("", summary="Providers")
async def list_providers(at: AdminRequest) -> dict[str, Any]:
    """Alphabetical, without the studio, which is built in."""
    return whole_list(
        [_provider_object(found) for found in await _load_overviews() if found.name != EMBEDDED]
    )


_cached_overviews: list[ProviderOverview] = []


async def _load_overviews() -> list[ProviderOverview]:
    """Made once: it loads every provider there is."""
    if not _cached_overviews:
        _cached_overviews[:] = await all_overviews()
    return _cached_overviews


def _provider_object(found: ProviderOverview) -> dict[str, Any]:
    default = _default_address(found.name)
    needs_address = default is None
    address = {"name": "base_url", "required": needs_address, "default": default, "hint": ""}
    secret = {"name": "secret", "required": needs_secret(found.name), "secret": True}
    return {
        "name": found.name,
        "makes": list(found.makes),
        "takes": list(found.takes),
        "auth": found.auth,
        "verified": found.verified,
        "cancel": found.cancel,
        "native_shots": found.native_shots,
        "progress": found.progress,
        "needs_base_url": needs_address,
        "default_base_url": default,
        "fields": [
            address,
            secret | {"hint": SECRET_HINTS.get(found.name, "")},
            *_needed_options(found.name),
        ],
    }


@lru_cache(maxsize=64)
def _default_address(name: str) -> str | None:
    """What an account without an address talks to; None when it must be told."""
    known = sample_account(name)
    account = Account(id="", provider=name, name=name, secret=known.secret, options=known.options)
    try:
        return registry.provider_class(name).base_url_for(account) or None
    except InvalidRequest:
        return None


def needs_secret(name: str) -> bool:
    return name not in ("comfyui", "lightx2v", "openai_compatible")


def _needed_options(name: str) -> list[dict[str, Any]]:
    return [
        {"name": f"options.{option}", "required": True, "hint": "as in docs/accounts.md"}
        for option in sample_account(name).options
    ]
