"""The transport of providers, for upstreams on this machine."""

from typing import Any

from app.media.guard import OutboundGuard
from app.providers.transport import UpstreamTransport


def loopback_transport(**options: Any) -> UpstreamTransport:
    """``options`` as for ``OutboundGuard.upstream_transport``; the caller closes it."""
    return OutboundGuard(("127.0.0.1",)).upstream_transport(**options)
