"""`/admin/api/providers`: what can be added as an account, and what each needs."""

from functools import lru_cache
from typing import Any

from fastapi import APIRouter

from app.admin.access import At, OwnerRoute
from app.admin.paging import whole
from app.errors import InvalidRequest
from app.providers import registry
from app.providers.base import Account
from app.providers.overview import Overview, overviews
from app.providers.samples import sample

router = APIRouter(route_class=OwnerRoute, prefix="/providers")
EMBEDDED = "studio"
PAIRS = {
    "jimeng": "access key|secret key",
    "kling": "access key|secret key, or one API key",
    "vertex_veo": "the JSON of a service account",
}
"""Where the secret is more than one word."""


@router.get("", summary="Providers")
async def list_providers(at: At) -> dict[str, Any]:
    """Alphabetical, without the studio, which is built in."""
    return whole([_shown(found) for found in await _overviews() if found.name != EMBEDDED])


_kept: list[Overview] = []


async def _overviews() -> list[Overview]:
    """Made once: it loads every provider there is."""
    if not _kept:
        _kept[:] = await overviews()
    return _kept


def _shown(found: Overview) -> dict[str, Any]:
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
        "fields": [address, secret | {"hint": PAIRS.get(found.name, "")}, *_needed_options(found.name)],
    }


@lru_cache(maxsize=64)
def _default_address(name: str) -> str | None:
    """What an account without an address talks to; None when it must be told."""
    known = sample(name)
    account = Account(id="", provider=name, name=name, secret=known.secret, options=known.options)
    try:
        return registry.provider_class(name).address(account) or None
    except InvalidRequest:
        return None


def needs_secret(name: str) -> bool:
    return name not in ("comfyui", "lightx2v", "openai_compatible")


def _needed_options(name: str) -> list[dict[str, Any]]:
    return [
        {"name": f"options.{option}", "required": True, "hint": "as in docs/accounts.md"}
        for option in sample(name).options
    ]
