"""Whether an upstream can be told a request: found out by building what would be sent, and sending nothing."""

from collections.abc import Callable

import structlog

from app.errors import AdapterFailed, AddressNeeded, UnsupportedWish
from app.generation import GenerationRequest, MediaInput
from app.providers.base import Provider

log = structlog.get_logger()


def find_refusal(provider: Provider, request: GenerationRequest) -> UnsupportedWish | None:
    """Why the upstream can't be told ``request``, whose model has the upstream's name; None when it can.

    A defect of the adapter is a refusal too: it shows before anything is sent, so nothing can have been bought.
    """
    foreign = next((item for item in request.media if _is_foreign(item, provider)), None)
    if foreign is not None:
        text = f"{provider.name} can't read {foreign.vendor_scheme}:// addresses"
        return UnsupportedWish(text, param=foreign.role)
    try:
        provider.check(request)
    except UnsupportedWish as refusal:
        return refusal
    except Exception:
        log.exception("adapter.failed", provider=provider.name, model=request.model, action=request.action)
        return AdapterFailed(
            f"The {provider.name} adapter fell over this request. Nothing was sent; the gateway's log says why."
        )
    return None


def with_addresses(
    provider: Provider, request: GenerationRequest, address_of: Callable[[int], str]
) -> GenerationRequest:
    """The request with addresses of ours for the inputs that this upstream takes only at one. ``address_of`` gets an
    input's number in ``request.media``; a vendor that takes bytes gets no address of ours."""
    while isinstance(refusal := find_refusal(provider, without_bytes(request)), AddressNeeded):
        needs = [not item.url and item.role == refusal.param for item in request.media]
        if not any(needs):
            return request
        media = [
            item.model_copy(update={"url": address_of(number)}) if needed else item
            for number, (item, needed) in enumerate(zip(request.media, needs, strict=True))
        ]
        request = request.model_copy(update={"media": tuple(media)})
    return request


def without_bytes(request: GenerationRequest) -> GenerationRequest:
    """The request with empty inputs: what an upstream can be told does not depend on their bytes."""
    media = tuple(
        item if item.vendor_scheme else item.model_copy(update={"content": b""}) for item in request.media
    )
    return request.model_copy(update={"media": media}) if media else request


def _is_foreign(item: MediaInput, provider: Provider) -> bool:
    return bool(item.vendor_scheme) and item.vendor_scheme not in provider.media_schemes
