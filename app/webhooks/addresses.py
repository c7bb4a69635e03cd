"""Checks URLs of webhooks. Whether the host may be called is checked by the outbound guard at delivery."""

import re
from collections.abc import Callable

import httpx2

from app.errors import InvalidRequest

MAX_URL_LENGTH = 2048
HOST = re.compile(r"[a-z0-9._-]{1,253}|[0-9a-f:.]{2,45}")


def check_address(url: str, *, param: str, plain: Callable[[str], bool] = lambda _: True) -> str:
    """The normalized URL. ``plain``: whether a host may be called without encryption.

    Raises ``InvalidRequest`` that names ``param``.
    """
    if len(url) > MAX_URL_LENGTH:
        raise InvalidRequest(
            f"{param} must be at most {MAX_URL_LENGTH} characters", param=param, reason="too_long"
        )
    parsed = _parse_url(url.strip())
    if parsed is None:
        raise InvalidRequest(
            f"{param} must be an address like https://example.com/hook", param=param, reason="invalid_address"
        )
    if parsed.scheme == "http" and not plain(parsed.host):
        raise InvalidRequest(f"{param} must begin with https://", param=param, reason="invalid_address")
    return str(parsed)


def _parse_url(url: str) -> httpx2.URL | None:
    try:
        parsed = httpx2.URL(url)
    except (httpx2.InvalidURL, UnicodeError, ValueError):
        return None
    if parsed.scheme not in ("http", "https") or parsed.userinfo:
        return None
    if parsed.port is not None and not 0 < parsed.port < 65_536:
        return None
    return parsed if HOST.fullmatch(parsed.raw_host.decode()) else None


def receiver_of(url: str) -> str:
    """The host, by which deliveries are limited: a slow host is slow on all its paths."""
    return httpx2.URL(url).host[:255]
